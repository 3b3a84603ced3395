use jackfield_client::{CallError, Client};
use std::time::Duration;

async fn example(registry: &str) -> Result<(), Box<dyn std::error::Error>> {
    // Watches the registry from now on; cheap to clone, one per program.
    let client = Client::builder().registry(registry).build().await?;

    // A tuple gives arguments by position, a struct or a map by name; results are serde types.
    let sum: f64 = client.call("calc.add", (1.0, 2.0)).await?;
    assert_eq!(sum, 3.0);

    // Deadline, balancing and retries can be set for each call.
    let request = client.request("calc.sqrt")?.args(&[-1.0])?;
    let answer = request.deadline(Duration::from_secs(2)).idempotent().send().await;

    // A method's own error is a value too, and every error tells what was tried.
    let Err(CallError::ServiceError(error)) = answer else { panic!("no root of -1") };
    println!("{error}");
    Ok(())
}
