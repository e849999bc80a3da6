//! A TCP proxy that fails on command.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// What the proxy does with bytes and connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    /// Bytes pass.
    Pass,
    /// Bytes wait, both ways.
    Stall,
    /// Bytes reach the server; what it says waits.
    Mute,
    /// New connections are closed at once.
    Refuse,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Direction {
    ToServer,
    FromServer,
}

#[derive(Clone, Copy, Debug)]
struct Orders {
    mode: Mode,
    /// Connections of earlier generations are cut.
    generation: u64,
}

/// A proxy on a port of 127.0.0.1 in front of one server. It lives as long as the value.
pub struct CutProxy {
    address: SocketAddr,
    orders: watch::Sender<Orders>,
    _accepting: AbortOnDropHandle<()>,
}

impl CutProxy {
    /// A proxy in front of `server` that lets everything pass.
    ///
    /// # Panics
    /// 127.0.0.1 has no free port.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("127.0.0.1 has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let (orders, receiver) = watch::channel(Orders { mode: Mode::Pass, generation: 0 });
        let accepting = AbortOnDropHandle::new(tokio::spawn(accept(listener, server, receiver)));
        Self { address, orders, _accepting: accepting }
    }

    /// Where the proxy listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets everything pass, also what waited.
    pub fn pass(&self) {
        self.order(Mode::Pass);
    }

    /// Holds all bytes back, as a network does that loses them.
    pub fn stall(&self) {
        self.order(Mode::Stall);
    }

    /// Holds back what the server says; what it is told passes.
    pub fn mute(&self) {
        self.order(Mode::Mute);
    }

    /// Cuts all connections; new ones are welcome.
    pub fn cut(&self) {
        self.orders.send_modify(|orders| orders.generation += 1);
    }

    /// Cuts all connections and lets no new ones in.
    pub fn refuse(&self) {
        self.order(Mode::Refuse);
        self.cut();
    }

    fn order(&self, mode: Mode) {
        self.orders.send_modify(|orders| orders.mode = mode);
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, orders: watch::Receiver<Orders>) {
    while let Ok((client, _)) = listener.accept().await {
        if orders.borrow().mode != Mode::Refuse {
            tokio::spawn(forward(client, server, orders.clone()));
        }
    }
}

/// Carries one connection until an end closes it, it is cut, or the proxy goes.
async fn forward(client: TcpStream, server: SocketAddr, mut orders: watch::Receiver<Orders>) {
    let generation = orders.borrow().generation;
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pump(Direction::ToServer, from_client, to_server, orders.clone()) => (),
        () = pump(Direction::FromServer, from_server, to_client, orders.clone()) => (),
        _ = orders.wait_for(|orders| orders.generation != generation) => (),
    }
}

async fn pump(
    direction: Direction,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut orders: watch::Receiver<Orders>,
) {
    let mut buffer = vec![0; 64 * 1024];
    let held = |mode| mode == Mode::Stall || (mode == Mode::Mute && direction == Direction::FromServer);
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if orders.wait_for(|orders| !held(orders.mode)).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers every byte with the same byte.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn says(stream: &mut TcpStream, byte: u8) -> std::io::Result<u8> {
        stream.write_u8(byte).await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn bytes_pass_until_the_connection_is_cut() {
        let proxy = CutProxy::start(echo().await).await;
        let mut first = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(says(&mut first, 1).await.unwrap(), 1);
        proxy.cut();
        assert!(first.read_u8().await.is_err());

        let mut second = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(says(&mut second, 2).await.unwrap(), 2);
        proxy.refuse();
        assert!(second.read_u8().await.is_err());
        let mut third = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(says(&mut third, 3).await.is_err());
    }

    #[tokio::test]
    async fn what_waited_arrives_when_the_stall_ends() {
        let proxy = CutProxy::start(echo().await).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(says(&mut stream, 1).await.unwrap(), 1);
        proxy.stall();
        stream.write_u8(2).await.unwrap();
        assert!(tokio::time::timeout(std::time::Duration::from_millis(50), stream.read_u8()).await.is_err());
        proxy.pass();
        assert_eq!(stream.read_u8().await.unwrap(), 2);
    }
}
