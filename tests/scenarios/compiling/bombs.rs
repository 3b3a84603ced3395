//! Files that are made to take for ever to compile: each is refused by a limit that it is told, or
//! compiled after all, and nobody else waits for it.

use jackfield_client::Client;

use super::{Place, leb, section};

#[tokio::test]
async fn bombs_for_the_compiler_end_within_its_bounds_while_others_are_called() {
    let bombs: [(&str, Vec<Vec<u8>>); 4] = [
        ("a-hundred-thousand-functions", vec![small(); 100_000]),
        ("one-function-of-seven-megabytes", vec![giant()]),
        ("a-jump-table-of-a-million-places", vec![jump_table(1_000_000)]),
        ("a-hundred-jump-tables-that-are-just-allowed", vec![jump_table(65_000); 100]),
    ];
    for (name, functions) in bombs {
        let place = Place::new();
        place.put("calc", &super::calc());
        let rig = place
            .host(|config| config.limits.compile_time = std::time::Duration::from_secs(2))
            .await;
        rig.host.settled().await;
        let client = Client::builder().direct(rig.host.local_addr().to_string());
        let client = client.state_dir(place.state()).build().await.unwrap();
        place.put(name, &component(&functions));
        let mut rejection = std::pin::pin!(rig.rejection());
        let reason = loop {
            tokio::select! {
                reason = &mut rejection => break reason,
                sum = client.call::<_, f64>("calc.add", (1, 2)) => assert_eq!(sum.unwrap(), 3.0),
            }
        };
        // None of them exports anything, which is found when it has been compiled.
        let ends = [
            "compiling it took more than",
            "for its code",
            "which exceeds the implementation limit",
            "exports no function",
        ];
        assert!(ends.iter().any(|end| reason.contains(end)), "{name}: {reason}");
        assert_eq!(rig.serves(), ["calc"]);
    }
}

/// A component around a module of functions that take a number.
fn component(functions: &[Vec<u8>]) -> Vec<u8> {
    let mut code = leb(functions.len());
    for function in functions {
        code.extend(leb(function.len()));
        code.extend(function);
    }
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 1, 0x7f, 0]),
        section(3, &[leb(functions.len()), vec![0; functions.len()]].concat()),
        section(10, &code),
    ];
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, &module.concat())].concat()
}

/// local.get 0, i32.const 7, i32.mul, local.set 0, as often as `times` says.
fn steps(times: usize) -> Vec<u8> {
    [vec![0], [0x20, 0, 0x41, 7, 0x6c, 0x21, 0].repeat(times), vec![0x0b]].concat()
}

fn small() -> Vec<u8> {
    steps(1)
}

/// The format allows 7,654,321 bytes.
fn giant() -> Vec<u8> {
    steps(1_000_000)
}

/// block, local.get 0, br_table whose every place is the block's end. Wasmtime takes 65,520 places.
fn jump_table(places: usize) -> Vec<u8> {
    [vec![0, 0x02, 0x40, 0x20, 0, 0x0e], leb(places), vec![0; places], vec![0, 0x0b, 0x0b]].concat()
}
