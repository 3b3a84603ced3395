//! A collector of OTLP, over HTTP and over gRPC: keeps the spans and the names of metrics.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::task::JoinSet;
use tonic::codegen::Service as _;
use tonic::{Request, Response, Status};

/// Where exports go in a test.
pub(super) struct Collector {
    pub(super) address: String,
    pub(super) heard: Heard,
}

/// What was exported.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Exported>>);

#[derive(Default)]
struct Exported {
    /// With the name of whose each is.
    spans: Vec<(String, Span)>,
    metrics: Vec<String>,
}

impl Collector {
    /// One that speaks `http/protobuf`.
    pub(super) fn over_http() -> Self {
        Self::start(|listener, heard| {
            for stream in listener.incoming().map_while(Result::ok) {
                let heard = heard.clone();
                std::thread::spawn(move || heard.answer(stream));
            }
        })
    }

    /// One that speaks `grpc`.
    pub(super) fn over_grpc() -> Self {
        Self::start(|listener, heard| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(heard.answer_grpc(listener));
        })
    }

    fn start(serve: impl FnOnce(TcpListener, Heard) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let heard = Heard::default();
        let hears = heard.clone();
        std::thread::spawn(move || serve(listener, hears));
        Self { address, heard }
    }
}

impl Heard {
    pub(super) fn span(&self, service: &str, name: &str) -> Option<Span> {
        let mut spans = self.spans().into_iter();
        spans.find_map(|(of, span)| (of == service && span.name == name).then_some(span))
    }

    pub(super) fn spans(&self) -> Vec<(String, Span)> {
        self.0.lock().unwrap().spans.clone()
    }

    pub(super) fn metrics(&self) -> Vec<String> {
        self.0.lock().unwrap().metrics.clone()
    }

    fn take_spans(&self, export: ExportTraceServiceRequest) {
        let mut exported = self.0.lock().unwrap();
        for resource in export.resource_spans {
            let service = resource.resource.as_ref().map(service).unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            exported.spans.extend(spans.map(|span| (service.clone(), span)));
        }
    }

    fn take_metrics(&self, export: ExportMetricsServiceRequest) {
        let resources = export.resource_metrics.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_metrics);
        let metrics = scopes.flat_map(|scope| scope.metrics);
        self.0.lock().unwrap().metrics.extend(metrics.map(|metric| metric.name));
    }

    /// Requests of one connection of HTTP/1.1, until it ends.
    fn answer(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some((path, body)) = request(&mut reader) {
            match path.as_str() {
                "/v1/traces" => self.take_spans(ExportTraceServiceRequest::decode(&*body).unwrap()),
                "/v1/metrics" => {
                    self.take_metrics(ExportMetricsServiceRequest::decode(&*body).unwrap());
                }
                other => panic!("{other} is not a path of OTLP"),
            }
            // Whoever asked may have gone.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    }

    /// Connections of gRPC. Never ends.
    async fn answer_grpc(self, listener: TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let heard = self.clone();
            let service = service_fn(move |request: http::Request<_>| {
                let heard = heard.clone();
                async move {
                    match request.uri().path().contains(".metrics.") {
                        true => MetricsServiceServer::new(heard).call(request).await,
                        false => TraceServiceServer::new(heard).call(request).await,
                    }
                }
            });
            let builder = http2::Builder::new(TokioExecutor::new());
            connections.spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    }
}

#[tonic::async_trait]
impl TraceService for Heard {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.take_spans(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Heard {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.take_metrics(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

fn service(resource: &Resource) -> String {
    let named = resource.attributes.iter().find(|one| one.key == "service.name");
    match named.and_then(|one| one.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(name)) => name.clone(),
        other => panic!("no service has the name {other:?}"),
    }
}

/// The path and the body of the next request.
fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers: BTreeMap<String, &str> = lines
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim()))
        .collect();
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some((lines.first()?.split(' ').nth(1)?.to_owned(), body))
}
