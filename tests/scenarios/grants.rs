//! What a manifest grants, from outside: a real host, a real log.

use jackfield_harness::eventually;

use crate::stage;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guest_logs_has_its_level_and_its_call_and_stays_on_its_line() {
    let stage = stage();
    let registry = stage.registry().unwrap();
    let folder = stage.folder("host").unwrap();
    let manifest = "[grants]\nhttp = []\nconfig = {}\nkeyvalue = {}\n";
    std::fs::write(folder.path().join("reacher.toml"), manifest).unwrap();
    folder.add("reacher").unwrap();
    let host = stage.host(&folder, registry.address()).unwrap();
    let client = stage.client(registry.address()).await.unwrap();
    for (level, text) in [(1_u8, "too low to show"), (3, "low\u{1b}[2J\nERROR forged"), (5, "bad")]
    {
        let note = client.call::<_, ()>("reacher.note", (level, "tokens", text));
        note.await.unwrap();
    }
    let line = |text: &str| host.log().lines().find(|line| line.contains(text)).map(str::to_owned);
    eventually("the last line", async || line("text=bad")).await;
    let (low, bad) = (line("text=low").expect("it comes before"), line("text=bad").unwrap());
    assert!(low.contains("WARN jackfield::guest: service=reacher method=note call=1"), "{low}");
    assert!(low.contains("context=tokens text=low\\u{1b}[2J\\nERROR forged"), "{low}");
    assert!(bad.contains("ERROR jackfield::guest: service=reacher method=note call=2"), "{bad}");
    assert_eq!(line("too low to show"), None);
}
