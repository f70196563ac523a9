//! ACR and MCR: storages that refuse who comes with credentials.

use super::*;

#[tokio::test]
async fn item_70_acr_a_storage_is_shown_no_credentials() {
    let storage = storage().await;
    let signed = storage.at("/blob?se=2026-01-01&sig=s3cret");
    let server = Server::start_at(|url| {
        let challenge =
            format!(r#"Bearer realm="{url}/oauth2/token",service="r.azurecr.io",scope="{SCOPE}""#);
        move |request| match request.path() {
            // Passwords are for `GET` only.
            "/oauth2/token" if request.method == "GET" && request.authorization().is_some() => {
                Reply::ok(r#"{"access_token":"t"}"#)
            }
            "/oauth2/token" => Reply::status(400),
            _ if !bears(request, "t") => Reply::challenge(&challenge),
            path if path.ends_with("/tags/list") => Reply::ok(r#"{"tags":["1"]}"#).header(
                "Link",
                r#"</v2/library/alpine/tags/list?last=1&n=1&orderby=timedesc>; rel="next""#,
            ),
            _ => Reply::redirect(307, &signed),
        }
    })
    .await;
    let nobody = "00000000-0000-0000-0000-000000000000";
    let registry = registry_with(&as_user(&server, nobody));
    assert_eq!(read(blob(&registry, None).await).await.unwrap(), BLOB);
    assert_eq!(blob_size(&registry).await, BLOB.len() as u64);
    let page = registry
        .list(&Listing::Tags(repository()), Some("n=1"))
        .await;
    assert_eq!(
        page.unwrap().next.as_deref(),
        Some("last=1&n=1&orderby=timedesc")
    );
}

#[tokio::test]
async fn mcr_asks_nobody_who_he_is_and_keeps_blobs_by_region() {
    let data = storage().await;
    let region = data.at("/ab//docker/registry/v2/blobs/data?regional=1");
    let server = Server::start(move |request| match request.path() {
        MANIFEST => Reply::ok(BODY).header("Content-Type", INDEX),
        _ => Reply::redirect(307, &region),
    })
    .await;
    let registry = registry(&server);
    pull(&registry).await.unwrap();
    assert_eq!(read(blob(&registry, None).await).await.unwrap(), BLOB);
    assert_eq!(
        asked(&data),
        ["GET /ab//docker/registry/v2/blobs/data?regional=1"]
    );
}
