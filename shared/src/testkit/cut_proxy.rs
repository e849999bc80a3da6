//! A TCP proxy that injects faults on command.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// The proxy's treatment of bytes and connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ProxyMode {
    /// Forwards all bytes.
    Pass,
    /// Forwards all bytes, each piece of up to 64 KiB after this time.
    Delay(Duration),
    /// Holds back bytes in both directions.
    Stall,
    /// Forwards bytes to the server and holds back its responses.
    Mute,
    /// Closes new connections at once.
    Refuse,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ByteDirection {
    ToServer,
    FromServer,
}

#[derive(Clone, Copy, Debug)]
struct ProxyCommand {
    mode: ProxyMode,
    /// Address to which new connections lead.
    server: SocketAddr,
    /// Connections of earlier generations are closed.
    generation: u64,
}

/// A proxy on a port of 127.0.0.1 in front of one server. Dropping it ends it.
pub struct CutProxy {
    address: SocketAddr,
    command: watch::Sender<ProxyCommand>,
    connections: Arc<AtomicUsize>,
    _accepting: AbortOnDropHandle<()>,
}

impl CutProxy {
    /// Starts a proxy in front of `server` that forwards everything.
    ///
    /// # Panics
    /// 127.0.0.1 has no free port.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("127.0.0.1 has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let (command, receiver) =
            watch::channel(ProxyCommand { mode: ProxyMode::Pass, server, generation: 0 });
        let connections = Arc::new(AtomicUsize::new(0));
        let accepting =
            AbortOnDropHandle::new(tokio::spawn(accept(listener, receiver, Arc::clone(&connections))));
        Self { address, command, connections, _accepting: accepting }
    }

    /// The address that the proxy listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far, with those that were refused.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Forwards everything, including the bytes that were held back.
    pub fn pass(&self) {
        self.set_mode(ProxyMode::Pass);
    }

    /// Forwards each piece of up to 64 KiB this much later, like a slow network.
    pub fn delay(&self, time: Duration) {
        self.set_mode(ProxyMode::Delay(time));
    }

    /// Holds back all bytes, like a network that loses all packets.
    pub fn stall(&self) {
        self.set_mode(ProxyMode::Stall);
    }

    /// Holds back the server's responses only.
    pub fn mute(&self) {
        self.set_mode(ProxyMode::Mute);
    }

    /// Leads new connections to `server`, as a name does whose address changes. Those that are open stay where they are.
    pub fn redirect(&self, server: SocketAddr) {
        self.command.send_modify(|command| command.server = server);
    }

    /// Closes all connections and accepts new ones.
    pub fn cut(&self) {
        self.command.send_modify(|command| command.generation += 1);
    }

    /// Closes all connections and refuses new ones.
    pub fn refuse(&self) {
        self.set_mode(ProxyMode::Refuse);
        self.cut();
    }

    fn set_mode(&self, mode: ProxyMode) {
        self.command.send_modify(|command| command.mode = mode);
    }
}

async fn accept(
    listener: TcpListener,
    command: watch::Receiver<ProxyCommand>,
    connections: Arc<AtomicUsize>,
) {
    while let Ok((client, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::Relaxed);
        let ProxyCommand { mode, server, .. } = *command.borrow();
        if mode != ProxyMode::Refuse {
            tokio::spawn(forward(client, server, command.clone()));
        }
    }
}

/// Forwards one connection until an end closes it, it is cut, or the proxy is dropped.
async fn forward(client: TcpStream, server: SocketAddr, mut command: watch::Receiver<ProxyCommand>) {
    let generation = command.borrow().generation;
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pump(ByteDirection::ToServer, from_client, to_server, command.clone()) => (),
        () = pump(ByteDirection::FromServer, from_server, to_client, command.clone()) => (),
        _ = command.wait_for(|command| command.generation != generation) => (),
    }
}

async fn pump(
    direction: ByteDirection,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut command: watch::Receiver<ProxyCommand>,
) {
    let mut buffer = vec![0; 64 * 1024];
    let held = |mode| {
        mode == ProxyMode::Stall || (mode == ProxyMode::Mute && direction == ByteDirection::FromServer)
    };
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let Ok(mode) = command.wait_for(|command| !held(command.mode)).await.map(|command| command.mode)
        else {
            return;
        };
        if let ProxyMode::Delay(time) = mode {
            tokio::time::sleep(time).await;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that echoes every byte.
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

    async fn echoes(stream: &mut TcpStream, byte: u8) -> std::io::Result<u8> {
        stream.write_u8(byte).await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn bytes_pass_until_the_connection_is_cut() {
        let proxy = CutProxy::start(echo().await).await;
        let mut first = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(echoes(&mut first, 1).await.unwrap(), 1);
        proxy.cut();
        assert!(first.read_u8().await.is_err());

        let mut second = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(echoes(&mut second, 2).await.unwrap(), 2);
        proxy.refuse();
        assert!(second.read_u8().await.is_err());
        let mut third = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(echoes(&mut third, 3).await.is_err());
    }

    #[tokio::test]
    async fn a_redirection_concerns_new_connections_only() {
        let proxy = CutProxy::start(echo().await).await;
        let mut first = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(echoes(&mut first, 1).await.unwrap(), 1);
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        proxy.redirect(other.local_addr().unwrap());
        let _second = TcpStream::connect(proxy.address()).await.unwrap();
        other.accept().await.unwrap();
        assert_eq!(echoes(&mut first, 2).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn what_waited_arrives_when_the_stall_ends() {
        let proxy = CutProxy::start(echo().await).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(echoes(&mut stream, 1).await.unwrap(), 1);
        proxy.stall();
        stream.write_u8(2).await.unwrap();
        assert!(tokio::time::timeout(std::time::Duration::from_millis(50), stream.read_u8()).await.is_err());
        proxy.pass();
        assert_eq!(stream.read_u8().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_slow_connection_delays_both_directions() {
        const DELAY: Duration = Duration::from_millis(40);
        let proxy = CutProxy::start(echo().await).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(echoes(&mut stream, 1).await.unwrap(), 1);
        proxy.delay(DELAY);
        let sent = std::time::Instant::now();
        assert_eq!(echoes(&mut stream, 2).await.unwrap(), 2);
        assert!(sent.elapsed() >= 2 * DELAY, "{:?}", sent.elapsed());
    }
}
