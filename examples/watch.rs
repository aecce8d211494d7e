//! Follows one connection until its watch ends. The exit code is 0 if the goal was reached.
//!
//! ```sh
//! cargo run --example watch -- backends/nsx-demo/connections/ID [WRITE_TOKEN]
//! ```

use isthmus::grpc::pb::{
    Goal, WatchRealizationRequest, outcome::Result as Ending,
    realization_service_client::RealizationServiceClient, watch_realization_response::Event,
};
use std::{error::Error, process::ExitCode, time::Duration};
use tonic::{Code, Status};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut request = WatchRealizationRequest {
        name: arguments.next().ok_or("which connection?")?,
        write_token: arguments.next().unwrap_or_default(),
        ..WatchRealizationRequest::default()
    };
    // A write token implies the goal: for a delete it is GONE.
    if request.write_token.is_empty() {
        request.set_goal(Goal::Config);
    }
    let endpoint = std::env::var("ISTHMUS_ENDPOINT");
    let endpoint = endpoint.unwrap_or_else(|_| "http://127.0.0.1:50051".to_owned());
    let mut client = RealizationServiceClient::connect(endpoint).await?;
    loop {
        match follow(&mut client, &mut request).await {
            Ok(Ending::Succeeded) => return Ok(ExitCode::SUCCESS),
            Ok(_) => return Ok(ExitCode::FAILURE),
            // The gateway went away, or ended the stream so that the client opens it again: resume after the last
            // message.
            Err(status) if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) => {
                eprintln!("{status}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(status) => return Err(status.into()),
        }
    }
}

async fn follow(
    client: &mut RealizationServiceClient<tonic::transport::Channel>,
    request: &mut WatchRealizationRequest,
) -> Result<Ending, Status> {
    let mut stream = client
        .watch_realization(request.clone())
        .await?
        .into_inner();
    while let Some(message) = stream.message().await? {
        request.resume_token = message.resume_token;
        if let Some(Event::Snapshot(seen) | Event::Change(seen)) = message.event {
            println!("{:?}, {:?}", seen.state(), seen.assurance());
            for node in &seen.nodes {
                println!("    {} {:?}", node.id, node.state());
            }
        }
        if let Some(outcome) = message.outcome {
            println!("{:?}", outcome.result());
            return Ok(outcome.result());
        }
    }
    Err(Status::unavailable("the stream ended without an outcome"))
}
