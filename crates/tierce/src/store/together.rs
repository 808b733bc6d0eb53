//! Several futures at once, in one task.

use std::pin::pin;
use std::task::Poll;

/// Runs all of them; what they give, in their order.
pub(crate) async fn together<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        let mut are_over = true;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(value) => *output = Some(value),
                    Poll::Pending => are_over = false,
                }
            }
        }
        if are_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}

/// Runs two, of different kinds; what they give.
pub(crate) async fn both<A, B>(one: impl Future<Output = A>, two: impl Future<Output = B>) -> (A, B) {
    let (mut one, mut two) = (pin!(one), pin!(two));
    let (mut of_one, mut of_two) = (None, None);
    std::future::poll_fn(|cx| {
        if of_one.is_none()
            && let Poll::Ready(output) = one.as_mut().poll(cx)
        {
            of_one = Some(output);
        }
        if of_two.is_none()
            && let Poll::Ready(output) = two.as_mut().poll(cx)
        {
            of_two = Some(output);
        }
        match (of_one.take(), of_two.take()) {
            (Some(one), Some(two)) => Poll::Ready((one, two)),
            (one, two) => {
                (of_one, of_two) = (one, two);
                Poll::Pending
            }
        }
    })
    .await
}
