//! One answer under way, and the promise that its handler hears of its end exactly once.

use http::StatusCode;

use crate::server::{End, Handler, Sent};

/// Tells the handler when it is dropped, by whatever end: an answer sent, a client gone, a task cancelled.
pub(super) struct Delivery<'a, H: Handler> {
    handler: &'a H,
    ticket: Option<H::Ticket>,
    sent: Sent,
}

impl<'a, H: Handler> Delivery<'a, H> {
    pub(super) fn new(handler: &'a H, ticket: H::Ticket, status: StatusCode) -> Self {
        let sent = Sent {
            status,
            bytes: 0,
            end: End::Left,
        };
        Self {
            handler,
            ticket: Some(ticket),
            sent,
        }
    }

    /// Where to count the bytes of the body.
    pub(super) fn bytes(&mut self) -> &mut u64 {
        &mut self.sent.bytes
    }

    /// Ends the delivery in a way that is known. Dropped without, it ended because the connection did.
    pub(super) fn end(mut self, end: End) {
        self.sent.end = end;
    }
}

impl<H: Handler> Drop for Delivery<'_, H> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.handler.sent(ticket, self.sent.clone());
        }
    }
}
