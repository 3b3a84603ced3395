//! Help texts: what a command is for, by examples that can be pasted.

use crate::exit;

pub(super) const ABOUT: &str = "\
Call functions of WebAssembly components over the network.

Drop a .wasm component into a folder: its exported functions become methods that clients call by \
name. Hosts announce what they serve to a registry; clients find them there.";

pub(super) const FIRST_STEPS: &str = "\
First steps:
  jackfield dev plugins        serve the folder `plugins`, in one terminal
  jackfield ls -l              in another: what can be called
  jackfield call calc.add 1 2  call it

`jackfield COMMAND --help` shows examples; `jackfield --help` also shows the exit codes.";

/// What ends the long help of the whole command.
pub(super) fn after_long() -> String {
    format!("{FIRST_STEPS}\n\n{}\n\n{ENVIRONMENT}", exit::help_table())
}

const ENVIRONMENT: &str = "\
Environment:
  JACKFIELD_CONFIG    as --config
  JACKFIELD_REGISTRY  as --registry; several are separated by commas
  JACKFIELD_NAMESPACE as --namespace
  JACKFIELD_STATE     as --state
  JACKFIELD_IDENTITY  as --identity
  RUST_LOG            as --log
  NO_COLOR            no colours unless --color always
  OTEL_…              traces and metrics over OTLP (docs/metrics.md)";

pub(super) const DEV: &str = "\
Everything stays on this machine and ends with Ctrl-C. A file that is added, replaced or removed \
takes effect at once; one that cannot be loaded never replaces one that works.

Examples:
  jackfield dev                 serve ./plugins
  jackfield dev target/plugins  serve another folder
  jackfield dev -p 0            with any free port for the registry
  jackfield dev --no-gateway    without HTTP
  jackfield dev --watch hello   build the project `hello`, serve it, and build it on every change";

pub(super) const TOP: &str = "\
Asks every host that the registry knows, once a second, for its numbers. ? shows the keys.

Examples:
  jackfield top
  jackfield top calc --view methods --sort p99
  jackfield top --once --view hosts
  jackfield top --json --every 10s   rates over ten seconds, for programs
  jackfield top --direct 127.0.0.1:4433";

pub(super) const REGISTRY: &str = "\
Prints one line on stdout when it is ready. Ctrl-C or SIGTERM end it; hosts and clients go on with \
what they know and come back to the next one. With a file as its store, the next one on the same \
port serves the old set at once. One file serves one registry; a damaged one is refused with the \
command that repairs it. Several registries over one etcd cluster serve one set: give hosts and \
clients the addresses of all.

Examples:
  jackfield registry
  jackfield registry -p 0                              any free port, in memory
  jackfield registry --store memory:                   nothing outlives it
  jackfield registry --store sqlite:./registry.sqlite  in this file
  jackfield registry repair ./registry.sqlite          after damage, with what is sound of it
  jackfield registry --store etcd:10.0.0.1:2379,10.0.0.2:2379  one of several over a cluster
  jackfield registry -l 10.0.0.5 --identity ./identity  for other machines";

pub(super) const HOST: &str = "\
Prints one line on stdout when it is ready. Files that are added, replaced or removed take effect \
at once. On Ctrl-C or SIGTERM it leaves the registry, finishes the calls it has, and ends; a second \
signal ends it at once.

Examples:
  jackfield host plugins
  jackfield host plugins --name left --registry 127.0.0.1:9999
  jackfield host plugins --metrics 127.0.0.1:9464  for Prometheus, and for probes
  jackfield host plugins --zone eu-1a --metadata tier=gold --metadata disk=ssd
  jackfield host plugins -l 10.0.0.6 -p 4433 --identity ./identity --registry 10.0.0.5:9999";

pub(super) const GATEWAY: &str = "\
Prints one line on stdout when it is ready. It asks nobody who they are, so it stays on this machine \
unless --open-to-network says otherwise, and pages of browsers are refused unless they are allowed. \
On Ctrl-C or SIGTERM it finishes the requests it has.

Examples:
  jackfield gateway
  curl --json '[1, 2]' http://127.0.0.1:8080/call/calc/add
  curl http://127.0.0.1:8080/openapi.json
  jackfield gateway --console orders    open http://127.0.0.1:8080/ in a browser
  jackfield gateway -p 8081 --registry 10.0.0.5:9999 --identity ./identity
  jackfield gateway --allow-origin http://localhost:5173  for a page of your own
  jackfield gateway --metrics 127.0.0.1:9464  for Prometheus, and for probes
  jackfield gateway -l 0.0.0.0 --open-to-network --allow-host api.internal --rate 50";

pub(super) const MCP: &str = "\
Every method is a tool named SERVICE__METHOD, with its JSON Schema and documentation; when plugins \
change the agent is told. What plugins' authors write reaches the agent's model: offer services that \
you trust. A gateway offers the same over HTTP, at /mcp.

Examples:
  jackfield mcp
  jackfield mcp --service calc --service text
  claude mcp add jackfield -- jackfield mcp
  claude mcp add --transport http jackfield http://127.0.0.1:8080/mcp";

pub(super) const CALL_USAGE: &str =
    "jackfield call [OPTIONS] <SERVICE.METHOD> [WORDS]... [--PARAM VALUE]... [-d JSON|@FILE|-]";

pub(super) const CALL: &str = "\
Any --NAME that is not an option of this command is a parameter of the method. Words first, then \
names, as in Python; option parameters may be left out. A word may be a negative number; after `--` \
everything is a word.

The result is JSON on stdout: indented on a terminal, one line otherwise, nothing for a method \
without result. A method's own error goes to stderr, as JSON, with exit code 5.

Examples:
  jackfield call calc.add 1 2
  jackfield call calc.add 1 --b=2 --c -3
  jackfield call calc.mean '[1, 2, 4]'
  jackfield call calc.add -d '[1, 2]'
  jackfield call calc.add -d '{\"a\": 1, \"b\": 2}'
  jackfield call text.slug -d @arguments.json
  jackfield call greeter.greet -v --deadline 500ms Ada
  jackfield call calc.add --picker least-loaded --version-req '^1.2' --zone eu-1a 1 2
  jackfield call cart.total --picker consistent-hash --key ada --where tier=gold Ada
  jackfield call greeter.greet --direct 127.0.0.1:4433 -- --Ada
  jackfield call queue.pop --param deadline=5";

pub(super) const BENCH_USAGE: &str = "\
jackfield bench [OPTIONS] <SERVICE.METHOD> [WORDS]... [--PARAM VALUE]... [-d JSON|@FILE|-]";

pub(super) const BENCH: &str = "\
Target and arguments are those of `jackfield call`. One call on each connection comes first: it \
connects, and shows that the method answers. Calls run for real: a method that changes something \
changes it each time.

Without --rate each caller waits for its answer before it calls again, which shows the most that can \
be had. With --rate calls are due at fixed times, whatever became of the ones before, and latencies \
count from when a call was due: that is what callers who do not wait for each other feel. Latencies \
are of answers; failures are counted by their names.

Ctrl-C ends the run and shows what was measured so far, with exit code 130. When no call was \
answered the exit code is that of the most frequent failure.

Examples:
  jackfield bench greeter.greet Ada
  jackfield bench greeter.greet Ada -c 1 -n 1000
  jackfield bench calc.add 1 2 --connections 4 --duration 30s --save before.json
  jackfield bench calc.add 1 2 --connections 4 --duration 30s --compare before.json
  jackfield bench calc.add 1 2 --rate 5000 --json
  jackfield bench text.slug -d @arguments.json --direct 127.0.0.1:4433";

pub(super) const LS: &str = "\
Examples:
  jackfield ls
  jackfield ls -l calc    methods of one service, with signatures
  jackfield ls --json     for programs";

pub(super) const WATCH: &str = "\
Begins with what there is. `+` is new, `~` changed, `-` gone, `=` a service's settings.

Examples:
  jackfield watch
  jackfield watch calc
  jackfield watch --json | jq .";

pub(super) const REGISTER: &str = "\
Clients of the library choose among such endpoints and speak with them in their own way.

Examples:
  jackfield register model --address gpu-1.example:8000 --keep
  jackfield register model --address 10.0.0.7:8000 --weight 5 --metadata prompt='You are {name}.' --keep
  jackfield register search --address 10.0.0.9:9200";

pub(super) const DEREGISTER: &str = "\
A host that lives registers its own again: disable those instead.

Examples:
  jackfield deregister model@10.0.0.7-8000
  jackfield instance set calc@left --disable";

pub(super) const INSTANCE: &str = "\
Orders are kept apart from what a host says, and hold again when it comes back. Only operators may \
give them: every client of this user at a registry of this user, otherwise those that the registry \
was started with --operator for.

Examples:
  jackfield instance show calc@left
  jackfield instance set calc@left --disable --note 'disk is failing'
  jackfield instance set calc@left --enable --weight 5
  jackfield instance set calc@left --drain
  jackfield instance unset calc@left";

pub(super) const SERVICE: &str = "\
Settings reach every client at once; what a call says itself goes before them.

Examples:
  jackfield service show
  jackfield service set calc --timeout 2s --max-retries 3 --retry-delay 50ms --retry-backoff 2
  jackfield service set calc --picker random
  jackfield service unset calc timeout
  jackfield service unset calc";

pub(super) const DESCRIBE: &str = "\
Examples:
  jackfield describe calc
  jackfield describe calc.add
  jackfield describe shapes --json";

pub(super) const ROLLBACK: &str = "\
Each host that serves it goes back to the version that it served before, and stays there until the \
service's file or manifest changes, or the host is restarted. A host that has served one version \
only has none to return to.

Examples:
  jackfield rollback calc                       on every host
  jackfield rollback calc --host left           on one of them
  jackfield rollback calc --direct 127.0.0.1:4433";

pub(super) const CHECK: &str = "\
Needs no host and no registry. Ends with exit code 10 when a host would not load the file.

Examples:
  jackfield check plugins/calc.wasm
  jackfield check plugins/calc.toml --config jackfield.toml
  jackfield check target/wasm32-wasip2/release/calc.wasm --json";

pub(super) const NEW: &str = "\
The project builds with its ecosystem's ordinary tools, and has a file of cases for \
`jackfield test`.

Examples:
  jackfield new hello --lang rust
  jackfield new hello --lang python --dir ~/plugins";

pub(super) const WIT: &str = "\
A plugin needs none of it. Writes wit/deps/jackfield-plugin.wit, replacing what an older version \
wrote, and says how a project uses it.

Examples:
  jackfield wit
  jackfield wit hello";

pub(super) const BUILD: &str = "\
The first of these files says who builds it:
  Cargo.toml        cargo, for wasm32-wasip2
  package.json      npm run build, which leaves build/plugin.wasm
  requirements.txt  componentize-py over app.py, in .venv
  Makefile          make build/plugin.wasm; for C in src/ with the bindings of wit/ in build/

The component becomes NAME.wasm in that folder, with the documentation of wit/*.wit in it; NAME is \
the package's, or else the folder's. Ends with exit code 11 when a tool fails.

Examples:
  jackfield build
  jackfield build hello";

pub(super) const TEST: &str = "\
Limits, manifest and instances are a host's; there is no network. Ends with exit code 11 when a \
case does not hold. A file of cases is an array:
  [{\"method\": \"add\", \"args\": [1, 2], \"expect\": 3},
   {\"method\": \"div\", \"args\": {\"a\": 1, \"b\": 0}, \"expect-error\": \"division by zero\"},
   {\"method\": \"spin\", \"timeout\": \"100ms\", \"expect-status\": \"deadline-exceeded\"}]

Examples:
  jackfield test hello.wasm cases.json
  jackfield test hello.wasm cases.json --json > report.json";

pub(super) const CONFIG: &str = "\
What counts, first of all: an option that is typed, then the environment, then the file that is named \
by --config or JACKFIELD_CONFIG, then the default. One file serves every role:
  [common]    what every command takes: registry, namespace, identity, state, log
  [registry], [host], [gateway]  the options of these commands by their names, as in ttl = \"10s\";
              DIR of a host is `folder`; what is said here goes before [common]
  [host], [plugins]  also the limits of a host, and what plugins get by default and at most
  [client]    for every command that calls, asks or orders

Options of a role have a variable each, as in JACKFIELD_HOST__ZONE for --zone of a host. Relative \
paths in a file begin at its folder.

Examples:
  jackfield config check /etc/jackfield/jackfield.toml  ends with exit code 10 when it does not hold
  jackfield config show host --config jackfield.toml    each value, and who says so
  jackfield host --config jackfield.toml";

pub(super) const DOCTOR: &str = "\
Looks at the settings, the private state folder, identities and when they end, ports and who has \
them, registries and who they are, the plugin folder, what the machine gives, and the tools that \
build plugins. It changes nothing. Ends with exit code 11 when something is broken.

Examples:
  jackfield doctor
  jackfield doctor plugins
  jackfield doctor --config /etc/jackfield/jackfield.toml
  jackfield doctor --registry 10.0.0.5:9999 --identity ./identity --json";

pub(super) const IDENTITY: &str = "\
An identity is a folder with ca.pem, cert.pem and key.pem, which --identity names. Those of one \
authority and one domain trust each other, and nobody else. It says what its owner may act as, and \
who that is. Nothing renews it: make it again before it ends, which `jackfield doctor` tells.

Examples:
  jackfield identity registry one --authority ./authority --out ./identity/registry
  jackfield identity host left --authority ./authority --out ./identity/left
  jackfield identity client ada --authority ./authority --out ./identity/ada --days 90
  jackfield registry -l 10.0.0.5 --identity ./identity/registry";

pub(super) const COMPLETIONS: &str = "\
Completes commands and options, and the names of services and methods from the registry.

Examples:
  bash  echo 'source <(jackfield completions bash)' >> ~/.bashrc
  zsh   echo 'source <(jackfield completions zsh)' >> ~/.zshrc
  fish  jackfield completions fish > ~/.config/fish/completions/jackfield.fish";
