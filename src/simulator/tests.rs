//! The simulator over real HTTP: what a client of Partner Center would see, and what a person with curl can do.

mod applications;

mod calls;

mod control;

mod events;

mod faults;

mod state;

use std::future::pending;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::customer::Customer;
use super::{Simulator, demo_partners};

const NOON: &str = "2026-02-03T12:00:00Z";

/// A served simulator with the demonstration's partners, and a client that calls for the first of them.
struct World {
    simulator: Simulator,
    base: String,
    contoso: Uuid,
    http: Client,
    token: String,
}

/// An answer, read to its end.
struct Reply {
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }

    /// The tenant ids on a page.
    fn ids(&self) -> Vec<Uuid> {
        let page = self.json();
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| item["id"].as_str().unwrap().parse().unwrap()).collect()
    }

    fn next_uri(&self) -> Option<String> {
        Some(self.json()["links"]["next"]["uri"].as_str()?.to_owned())
    }

    fn next_token(&self) -> Option<String> {
        let page = self.json();
        let header = &page["links"]["next"]["headers"][0];
        assert!(header.is_null() || header["key"] == "MS-ContinuationToken");
        Some(header["value"].as_str()?.to_owned())
    }
}

impl World {
    /// Serves a Partner Center in which contoso has so many customers.
    async fn with(customers: usize) -> Self {
        let simulator = Simulator::new();
        // A standing clock keeps midnight from falling into the middle of a test.
        simulator.clock().stop_at(NOON.parse().unwrap());
        for partner in demo_partners() {
            simulator.add_partner(partner);
        }
        let contoso = demo_partners()[0].tenant_id;
        simulator.seed(contoso, customers, 1).unwrap();
        Self::serving(simulator).await
    }

    #[expect(clippy::disallowed_methods, reason = "the server lives as long as the test's runtime")]
    async fn serving(simulator: Simulator) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = simulator.clone();
        tokio::spawn(async move { server.serve(listener, pending()).await });
        let mut world = Self {
            simulator,
            base,
            contoso: demo_partners()[0].tenant_id,
            http: Client::builder().no_proxy().build().unwrap(),
            token: String::new(),
        };
        world.token = world.token_of(0).await;
        world.simulator.reset_calls(world.contoso).unwrap();
        world
    }

    async fn token_of(&self, position: usize) -> String {
        let partner = &demo_partners()[position];
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &partner.client_id),
            ("client_secret", &partner.client_secret),
            ("scope", "https://api.partnercenter.microsoft.com/.default"),
        ];
        let path = format!("/{}/oauth2/v2.0/token", partner.tenant_id);
        let reply = self.post_form(&path, &form).await;
        reply.json()["access_token"].as_str().unwrap().to_owned()
    }

    async fn post_form(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        let request = self.http.post(format!("{}{path}", self.base)).form(form);
        read(request).await.unwrap()
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> Reply {
        read(self.request(Method::GET, path)).await.unwrap()
    }

    /// Gets what may not arrive whole.
    async fn try_get(&self, path: &str) -> Result<Reply, reqwest::Error> {
        read(self.request(Method::GET, path)).await
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Reply {
        read(self.request(method, path).json(&body)).await.unwrap()
    }

    /// Follows a page's link as the SDKs do: its URI and its headers, nothing else.
    async fn follow(&self, page: &Reply) -> Reply {
        let request = self.request(Method::GET, &page.next_uri().unwrap());
        let token = page.next_token().unwrap();
        read(request.header("MS-ContinuationToken", token)).await.unwrap()
    }

    fn first(&self) -> Customer {
        self.simulator.customers(self.contoso).swap_remove(0)
    }

    fn today(&self) -> String {
        self.simulator.clock().now().date_naive().to_string()
    }

    /// Today's audit records.
    async fn audit(&self) -> Vec<Value> {
        let today = self.today();
        let path = format!("/v1/auditrecords?startDate={today}&endDate={today}");
        let page = self.get(&path).await.json();
        page["items"].as_array().unwrap().clone()
    }
}

async fn read(request: RequestBuilder) -> Result<Reply, reqwest::Error> {
    let response = request.send().await?;
    Ok(Reply { status: response.status(), headers: response.headers().clone(), text: response.text().await? })
}

fn detail(id: Uuid) -> String {
    format!("/v1/customers/{id}")
}

fn fault(code: u32, description: &str) -> Value {
    json!({"code": code, "description": description, "data": [], "source": "PartnerFD"})
}
