//! One port on both loopback addresses.
//!
//! Python resolves `localhost` and tries `::1` first, other clients know only `127.0.0.1`; whoever listens on one of
//! them alone is found by half of them.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use super::command::Listen;
use crate::error::{Error, Result};

/// A free IPv4 port may be taken on IPv6; after so many the machine has a problem.
const ATTEMPTS: usize = 16;

/// Bound sockets that share one port.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) port: u16,
    pub(super) sockets: Vec<TcpListener>,
}

/// Binds what `listen` asks for.
///
/// # Errors
/// A port that is in use, or an address that this machine does not have.
pub(super) fn bind(listen: &Listen) -> Result<Listeners> {
    if let Some(ip) = listen.bind {
        let socket = one(ip, listen.port)?;
        return Ok(Listeners {
            port: port_of(&socket)?,
            sockets: vec![socket],
        });
    }
    for attempt in 1..=ATTEMPTS {
        let v4 = one(Ipv4Addr::LOCALHOST.into(), listen.port)?;
        let port = port_of(&v4)?;
        let sockets = match TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))) {
            Ok(v6) => vec![v4, v6],
            Err(e) if e.kind() == ErrorKind::AddrInUse => {
                if listen.port == 0 && attempt < ATTEMPTS {
                    continue;
                }
                return Err(refused(Ipv6Addr::LOCALHOST.into(), port, e));
            }
            // A machine without IPv6.
            Err(_) => vec![v4],
        };
        return Ok(Listeners { port, sockets });
    }
    Err(Error::transport(
        "no port is free on both loopback addresses",
    ))
}

fn one(ip: IpAddr, port: u16) -> Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((ip, port))).map_err(|e| refused(ip, port, e))
}

fn port_of(socket: &TcpListener) -> Result<u16> {
    let address = socket
        .local_addr()
        .map_err(|e| Error::transport("a bound socket has no address").because(e))?;
    Ok(address.port())
}

fn refused(ip: IpAddr, port: u16, error: std::io::Error) -> Error {
    let address = SocketAddr::from((ip, port));
    if error.kind() == ErrorKind::AddrInUse {
        return Error::transport(format!(
            "cannot listen on {address}: address in use; stop what uses port {port}, or choose another port (0 for \
             any free one)"
        ));
    }
    Error::transport(format!("cannot listen on {address}")).because(error)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn any() -> Listen {
        Listen {
            port: 0,
            bind: None,
        }
    }

    #[test]
    fn a_free_port_answers_on_every_loopback_address() {
        let first = bind(&any()).expect("a free port");
        let second = bind(&any()).expect("another free port");
        assert_ne!(first.port, second.port);
        for socket in &first.sockets {
            let address = socket.local_addr().expect("bound");
            assert_eq!(address.port(), first.port);
            TcpStream::connect(address).expect("connectable");
        }
    }

    #[test]
    fn a_port_in_use_is_named() {
        let taken = bind(&any()).expect("a free port");
        let listen = Listen {
            port: taken.port,
            bind: None,
        };
        let error = bind(&listen).expect_err("in use").to_string();
        assert!(error.contains("address in use"), "{error}");
        assert!(error.contains(&taken.port.to_string()), "{error}");
    }

    #[test]
    fn one_address_can_be_chosen() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let listen = Listen {
            port: 0,
            bind: Some(ip),
        };
        let bound = bind(&listen).expect("a free port");
        assert_eq!(bound.sockets.len(), 1);
        assert_ne!(bound.port, 0);
    }
}
