//! Further applications of a partner's, each with its own sight.

use super::*;

const APPLICATIONS: &str = "/control/v1/partners/contoso/applications";

async fn token(world: &World, client_secret: &str) -> Reply {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "another"),
        ("client_secret", client_secret),
        ("scope", "https://api.partnercenter.microsoft.com/.default"),
    ];
    world.post_form(&format!("/{}/oauth2/v2.0/token", world.contoso), &form).await
}

#[tokio::test]
async fn another_application_does_not_see_whom_it_is_not_to_see_until_it_is_taken_away() {
    let mut world = World::with(3).await;
    let hidden = world.first().id;
    assert_eq!(token(&world, "its-secret").await.json()["error_codes"], json!([700_016]));
    let wish = json!({"clientId": "another", "clientSecret": "its-secret", "hides": [hidden.to_string()]});
    assert_eq!(world.send(Method::POST, APPLICATIONS, wish).await.status, 201);
    let shown = world.get(APPLICATIONS).await;
    assert_eq!((shown.json()[0]["clientId"].as_str(), shown.text.contains("its-secret")), (Some("another"), false));
    assert_eq!(token(&world, "wrong").await.json()["error_codes"], json!([7_000_215]));

    let own = world.token.clone();
    world.token = token(&world, "its-secret").await.json()["access_token"].as_str().unwrap().to_owned();
    let listed = world.get("/v1/customers").await.ids();
    assert_eq!((listed.len(), listed.contains(&hidden)), (2, false));
    let gone = world.get(&detail(hidden)).await;
    assert_eq!((gone.status.as_u16(), &gone.json()["code"]), (403, &json!(20_002)));
    assert_eq!(world.send(Method::DELETE, APPLICATIONS, json!({})).await.status, 204);
    assert_eq!(world.get("/v1/customers").await.status, 401);
    world.token = own;
    assert_eq!(world.get("/v1/customers").await.ids().len(), 3);
}

#[tokio::test]
async fn an_application_may_get_another_partners_tokens_or_be_shown_its_customers() {
    let mut world = World::with(3).await;
    let northwind = demo_partners()[1].tenant_id;
    world.simulator.seed(northwind, 1, 9).unwrap();
    for wish in ["shows", "tokensOf"] {
        let wish = json!({"clientId": "another", "clientSecret": wish, wish: northwind.to_string()});
        assert_eq!(world.send(Method::POST, APPLICATIONS, wish).await.status, 201);
    }
    for secret in ["shows", "tokensOf"] {
        world.token = token(&world, secret).await.json()["access_token"].as_str().unwrap().to_owned();
        let tid = super::super::token::Claims::decode(&world.token).unwrap().tid;
        assert_eq!(tid == northwind, secret == "tokensOf");
        assert_eq!(world.get("/v1/customers").await.ids().len(), 1, "{secret}");
    }
}
