//! What a connection asks of the protocol it carries.

/// Bytes that no server of this protocol sends; the connection is closed, since nobody knows where the next answer
/// begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Garbled(pub(crate) &'static str);

/// What a server sent, whole.
#[derive(Debug, PartialEq)]
pub(crate) enum Received<F> {
    /// The next answer to the oldest request.
    Answer(F),
    /// Something that nobody asked for.
    Push(F),
}

/// An answer and how many bytes it took, or none yet.
pub(crate) type Taken<F> = Result<Option<(Received<F>, usize)>, Garbled>;

/// Takes answers out of a stream of bytes.
pub(crate) trait Protocol: Send + 'static {
    /// One answer.
    type Frame: Send + 'static;

    /// Takes the first whole answer and says how many bytes it took; `None` when there is none yet. What it was given and
    /// has not taken it is given again, with more behind, so it may note how far it has looked.
    fn take(&mut self, bytes: &[u8]) -> Taken<Self::Frame>;

    /// A connection begins: whatever was noted of the last one is void.
    fn begin(&mut self);
}
