//! Messages between processes: one Redis subscription connection, shared by all who listen in this process.
//!
//! A message may be lost while the connection is being renewed: listeners treat messages as hints and read the truth.

use crate::error::StoreError;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use redis::Client;
use redis::aio::{PubSubSink, PubSubStream};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_stream::wrappers::BroadcastStream;

/// Messages that a slow listener may fall behind before it misses the oldest.
const BACKLOG: usize = 64;
/// Requests that may wait for the bus.
const REQUESTS: usize = 1_024;
const RECONNECT_WAIT: Duration = Duration::from_millis(250);
/// Longest wait for a connection or a confirmation.
const ANSWER_WAIT: Duration = Duration::from_secs(3);

/// The process's ear on Redis channels. Connects when somebody listens first.
#[derive(Debug, Clone)]
pub struct Bus {
    requests: mpsc::Sender<Request>,
}

type Reply = oneshot::Sender<Result<broadcast::Receiver<Bytes>, redis::RedisError>>;

#[derive(Debug)]
enum Request {
    Listen { channel: String, reply: Reply },
    Left { channel: String },
}

impl Bus {
    pub(crate) fn start(client: Client) -> Self {
        let (requests, inbox) = mpsc::channel(REQUESTS);
        tokio::spawn(Hub { client, inbox, me: requests.downgrade(), channels: HashMap::new() }.run());
        Self { requests }
    }

    /// Listens to `channel` until the stream is dropped. Returns when Redis has confirmed.
    ///
    /// # Errors
    /// When Redis cannot be reached now.
    pub async fn subscribe(&self, channel: &str) -> Result<impl Stream<Item = Bytes> + Send + use<>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Listen { channel: channel.to_owned(), reply };
        self.requests.send(request).await.map_err(|_| StoreError::Overloaded)?;
        let receiver =
            answer.await.map_err(|_| StoreError::Overloaded)?.map_err(StoreError::redis("subscribing to a channel"))?;
        let leave = Leave { channel: channel.to_owned(), requests: self.requests.clone() };
        Ok(BroadcastStream::new(receiver).filter_map(move |message| {
            let _held_while_listening = &leave;
            std::future::ready(message.ok())
        }))
    }
}

/// Tells the hub that a listener is gone.
struct Leave {
    channel: String,
    requests: mpsc::Sender<Request>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        // A full inbox keeps the subscription a little longer: the hub also looks when a message finds no listener.
        drop(self.requests.try_send(Request::Left { channel: std::mem::take(&mut self.channel) }));
    }
}

struct Hub {
    client: Client,
    inbox: mpsc::Receiver<Request>,
    me: mpsc::WeakSender<Request>,
    channels: HashMap<String, broadcast::Sender<Bytes>>,
}

enum Next {
    Renew,
    End,
}

impl Hub {
    async fn run(mut self) {
        while let Some(request) = self.inbox.recv().await {
            // Without a connection nobody is subscribed: a leave has nothing to do.
            let Request::Listen { channel, reply } = request else { continue };
            let mut first = Some((channel, reply));
            loop {
                match self.connect().await {
                    Ok((sink, stream)) => {
                        if matches!(self.serve(sink, stream, first.take()).await, Next::End) {
                            return;
                        }
                    }
                    Err(error) => {
                        if let Some((_, reply)) = first.take() {
                            drop(reply.send(Err(error)));
                        }
                        self.refuse_waiting();
                    }
                }
                if self.channels.is_empty() {
                    break;
                }
                tokio::time::sleep(RECONNECT_WAIT).await;
            }
        }
    }

    async fn connect(&mut self) -> Result<(PubSubSink, PubSubStream), redis::RedisError> {
        let connecting = async {
            let (mut sink, stream) = self.client.get_async_pubsub().await?.split();
            self.channels.retain(|_, sender| sender.receiver_count() > 0);
            if !self.channels.is_empty() {
                sink.subscribe(self.channels.keys().collect::<Vec<_>>()).await?;
            }
            Ok((sink, stream))
        };
        match tokio::time::timeout(ANSWER_WAIT, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        }
    }

    /// Nobody waits longer than one failed try to connect.
    fn refuse_waiting(&mut self) {
        while let Ok(request) = self.inbox.try_recv() {
            if let Request::Listen { reply, .. } = request {
                drop(reply.send(Err(std::io::Error::from(std::io::ErrorKind::NotConnected).into())));
            }
        }
    }

    async fn serve(&mut self, mut sink: PubSubSink, mut stream: PubSubStream, first: Option<(String, Reply)>) -> Next {
        if let Some((channel, reply)) = first
            && self.listen(&mut sink, channel, reply).await.is_err()
        {
            return Next::Renew;
        }
        loop {
            tokio::select! {
                message = stream.next() => {
                    let Some(message) = message else { return Next::Renew };
                    let channel = message.get_channel_name();
                    let heard = self.channels.get(channel).is_some_and(|sender| {
                        sender.send(Bytes::copy_from_slice(message.get_payload_bytes())).is_ok()
                    });
                    if !heard && self.leave(&mut sink, channel).await.is_err() {
                        return Next::Renew;
                    }
                }
                request = self.inbox.recv() => match request {
                    None => return Next::End,
                    Some(Request::Listen { channel, reply }) => {
                        if self.listen(&mut sink, channel, reply).await.is_err() {
                            return Next::Renew;
                        }
                    }
                    Some(Request::Left { channel }) => {
                        let gone = self.channels.get(&channel).is_some_and(|sender| sender.receiver_count() == 0);
                        if gone && self.leave(&mut sink, &channel).await.is_err() {
                            return Next::Renew;
                        }
                    }
                },
            }
            if self.me.strong_count() == 0 && self.channels.is_empty() {
                return Next::End;
            }
        }
    }

    async fn listen(&mut self, sink: &mut PubSubSink, channel: String, reply: Reply) -> Result<(), ()> {
        if let Some(sender) = self.channels.get(&channel) {
            drop(reply.send(Ok(sender.subscribe())));
            return Ok(());
        }
        match tokio::time::timeout(ANSWER_WAIT, sink.subscribe(&channel)).await {
            Ok(Ok(())) => {
                let (sender, receiver) = broadcast::channel(BACKLOG);
                self.channels.insert(channel, sender);
                drop(reply.send(Ok(receiver)));
                Ok(())
            }
            Ok(Err(error)) => {
                drop(reply.send(Err(error)));
                Err(())
            }
            Err(_) => {
                drop(reply.send(Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())));
                Err(())
            }
        }
    }

    async fn leave(&mut self, sink: &mut PubSubSink, channel: &str) -> Result<(), ()> {
        self.channels.remove(channel);
        match tokio::time::timeout(ANSWER_WAIT, sink.unsubscribe(channel)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(()),
        }
    }
}
