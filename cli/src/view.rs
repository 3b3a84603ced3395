//! What people see of services: text made from data, no I/O.

pub(crate) mod changes;
pub(crate) mod events;
pub(crate) mod example;
pub(crate) mod instances;
pub(crate) mod service;
pub(crate) mod settings;

#[cfg(test)]
pub(crate) mod testing {
    //! Data to show.

    use jackfield_wire::reflect::{MethodInfo, ServiceInfo};
    use jackfield_wire::registry::{Instance, MethodSummary};
    use jackfield_wire::ty::{Field, Signature, Type};
    use jackfield_wire::{Generation, ServiceName};

    /// A method with these parameters and no result.
    pub(crate) fn method(name: &str, params: &[(&str, Type)]) -> MethodInfo {
        let params = params
            .iter()
            .map(|(name, ty)| Field { name: (*name).into(), ty: ty.clone() })
            .collect();
        let signature = Signature { params, result: None };
        MethodInfo {
            name: name.into(),
            qualified: name.into(),
            wit: signature.to_wit(name),
            params_schema: signature.params_schema(),
            result_schema: None,
            signature,
            docs: None,
            hidden: false,
        }
    }

    /// A service with these methods.
    pub(crate) fn service(methods: Vec<MethodInfo>) -> ServiceInfo {
        ServiceInfo {
            service: ServiceName::new("calc").expect("a good name"),
            version: Some("0.1.0".into()),
            generation: Generation::of_digest([0xab; 32]),
            docs: None,
            methods,
            refused: Vec::new(),
            rolled_back_from: None,
            rolled_back_because: None,
            rejected: None,
            quarantined: None,
        }
    }

    /// An instance of `calc` on `host`.
    pub(crate) fn instance(host: &str) -> Instance {
        let service = ServiceName::new("calc").expect("a good name");
        Instance {
            version: Some("0.1.0".into()),
            generation: Some(Generation::of_digest([0xab; 32])),
            methods: vec![MethodSummary { name: "add".into(), wit: "add: func(a: f64)".into() }],
            ..Instance::new(service, host, "127.0.0.1:4433")
        }
    }
}
