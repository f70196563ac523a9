//! The gate before a handler: the mirror's own users pass, and leave their password there.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Request, Response};

use super::{Body, Handler, Peer, Refusal, Sent, Users};

/// The challenge (RFC 7617 section 2).
const CHALLENGE: &str = "Basic realm=\"roadstead\", charset=\"UTF-8\"";

/// Lets [`Users`] through to a handler, which never sees what they have shown: it was meant for the mirror.
pub struct Gate<H> {
    handler: Arc<H>,
    users: Arc<Users>,
}

impl<H: Handler> Gate<H> {
    /// A gate before `handler`.
    pub fn new(handler: Arc<H>, users: Arc<Users>) -> Self {
        Self { handler, users }
    }
}

#[async_trait]
impl<H: Handler> Handler for Gate<H> {
    /// `None` for who was turned away.
    type Ticket = Option<H::Ticket>;

    async fn handle(&self, mut request: Request<()>) -> (Response<Body>, Self::Ticket) {
        let shown = the_only(request.headers());
        let is_user = match shown {
            Some(shown) => self.users.knows(shown.as_bytes()).await,
            None => false,
        };
        if !is_user {
            let peer = request.extensions().get().copied();
            let mut response = self.handler.refuse(Refusal::Unauthorized, peer);
            let challenge = HeaderValue::from_static(CHALLENGE);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            return (response, None);
        }
        request.headers_mut().remove(AUTHORIZATION);
        let (response, ticket) = self.handler.handle(request).await;
        (response, Some(ticket))
    }

    fn sent(&self, ticket: Self::Ticket, sent: Sent) {
        if let Some(ticket) = ticket {
            self.handler.sent(ticket, sent);
        }
    }

    fn refuse(&self, refusal: Refusal, peer: Option<Peer>) -> Response<Body> {
        self.handler.refuse(refusal, peer)
    }
}

/// The one `Authorization`; of two, one would be a lie.
fn the_only(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut shown = headers.get_all(AUTHORIZATION).iter();
    shown.next().filter(|_| shown.next().is_none())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::server::testkit::{Script, Visit, field};

    fn basic(text: &str) -> String {
        format!("Authorization: Basic {}\r\n", STANDARD.encode(text))
    }

    #[tokio::test]
    async fn users_pass_without_their_password_and_others_are_asked_for_one() {
        let hash = bcrypt::hash("hunter2", 4).unwrap();
        let users = Users::new(
            "users",
            Box::new(move || Ok(vec![("bob".into(), hash.clone())])),
        );
        let (handler, mut reports) = Script::new(|request| async move {
            let seen = request.headers().contains_key(AUTHORIZATION);
            Response::new(format!("sees a password: {seen}").into_bytes().into())
        });
        let gate = Arc::new(Gate::new(handler, users.unwrap()));
        let mut visit = Visit::new(&gate);
        let twice = basic("bob:hunter2").repeat(2);
        // All on one connection: being turned away costs none.
        for (shown, passes) in [
            (String::new(), false),
            (basic("bob:hunter2"), true),
            (basic("bob:hunter3"), false),
            (basic("eve:hunter2"), false),
            (basic("bob:hunter2"), true),
            (twice, false),
            ("Authorization: Bearer hunter2\r\n".to_owned(), false),
            ("Authorization: Basic !!!\r\n".to_owned(), false),
            (basic(":"), false),
        ] {
            let request = format!("GET /v2/ HTTP/1.1\r\nHost: a\r\n{shown}\r\n");
            visit.client.send(request).await;
            let (head, body) = visit.client.answer().await;
            if passes {
                assert_eq!(body, "sees a password: false");
                assert_eq!(reports.recv().await.unwrap().1.status, 200);
            } else {
                assert!(head.starts_with("HTTP/1.1 401 "), "{shown}: {head}");
                assert_eq!(field(&head, "www-authenticate"), Some(CHALLENGE));
                assert_eq!(body, "refused: Unauthorized");
            }
        }
    }
}
