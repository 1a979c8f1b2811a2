"""One end of a tunnel, in words that every peer driver can turn into its own configuration."""

from dataclasses import dataclass, field, replace

from .shell import Failed


@dataclass(frozen=True)
class Eap:
    """EAP of a tunnel: `identity` is there at the client; the server knows `users`, pairs of identity and password."""

    methods: tuple  # as Culvert names them, the dearest first
    identity: str = ""
    secret: str = ""
    users: tuple = ()
    inner: tuple = ()  # within TTLS and PEAP
    outer: str = ""  # what the client says it is where others can read it
    server_id: str = ""  # Culvert only: the name in the certificate of the server of TLS, where it is not the responder's
    only: bool = False  # RFC 5998: no other proof of the responder


@dataclass(frozen=True)
class TunnelSpec:
    local: str  # outer addresses
    remote: str
    local_ts: tuple
    remote_ts: tuple
    name: str = "net"
    local_id: str = "alice.example"
    remote_id: str = "bob.example"
    secret: str = "a secret for the interop tests"
    credentials: object = None  # rig.authority.Credentials instead of the secret
    own_proof: object = ""  # where the ends differ: secret | certificate | none; the credentials have what each needs
    # Either: both are tuples, of several rounds (RFC 4739), which may have "eap" in them, or "certificate as NAME": of the
    # first of `others`, judged by the last of the authorities.
    peer_proof: object = ""
    eap: object = None  # Eap: the initiator proves itself so, the responder by the secret or its credentials
    ike: str = "aes256gcm16-prfsha256-x25519"
    esp: str = "aes256gcm16"
    start: str = "manual"  # manual | auto | on-demand
    encapsulation: str = ""  # "" leaves the choice to the daemon; udp | esp
    ike_lifetime: int = 0  # seconds until it is rekeyed; 0: the daemon's default
    child_lifetime: int = 0
    liveness: int = 0
    pool: tuple = ()  # this end gives the other its inner address: ranges, then the name server (or "")
    pool_subnets: str = ""  # strongSwan only: what it tells who has an address of the pool, instead of nothing
    request_address: bool = False  # this end asks the other for its inner address
    anybody: bool = False  # the peer may call from any address, as any identity of remote_id's pattern
    fragmentation: str = ""  # of IKE messages: yes | no | force
    ppk: tuple = ()  # RFC 8784: name, 64 hexadecimal digits, whether it is required
    ppk_exchange: str = ""  # RFC 9867: auto | intermediate | auth | draft
    aggfrag: str = ""  # Culvert only: the table, as text
    ours: str = ""  # Culvert only: further settings, as text
    swanctl: str = ""  # strongSwan only: further settings of the connection
    pluto: tuple = ()  # libreswan only: the same, as pairs
    revocation: str = ""  # strongSwan only: strict | ifuri, where a certificate says whom to ask; with lists: strict
    further: tuple = ()  # strongSwan only: more Child SAs of the same IKE SA, each (name, local_ts, remote_ts)
    roams: bool = False  # it has no fixed address of its own
    mobike: bool = True  # with it, a peer does not simply follow the other end's new address

    def but(self, **changes):
        return replace(self, **changes)


def round_of(way):
    """How a round is done, and under which name of its own, if any."""
    kind, _, name = way.partition(" as ")
    return kind, name


@dataclass(frozen=True)
class ChildSa:
    """A pair of ESP SAs as one end counts them."""

    spi_in: str
    spi_out: str
    packets_in: int
    packets_out: int


@dataclass(frozen=True)
class State:
    """What one end says about its SAs."""

    ike: tuple = field(default_factory=tuple)  # initiator SPIs of the established IKE SAs
    children: tuple = field(default_factory=tuple)

    @property
    def up(self):
        return bool(self.ike and self.children)

    def packets_since(self, before):
        """How many packets the inbound, and the outbound, SAs of now counted since `before`: the smaller of the two."""
        known = {c.spi_in: c for c in before.children}
        none = ChildSa("", "", 0, 0)
        return min(sum(c.packets_in - known.get(c.spi_in, none).packets_in for c in self.children),
                   sum(c.packets_out - known.get(c.spi_in, none).packets_out for c in self.children))


class Peer:
    """An IKE daemon in one namespace of a lab. Drivers: rig.culvert, rig.strongswan.

    start() and stop() run the daemon, restart-safe: a second start() uses the same files. `tunnels` may be changed
    before start() or made effective with reload().
    """

    kind = "?"
    hears_refusal = "AUTH(ENTICATION)?_FAILED"  # what its log has when we have refused it

    def __init__(self, lab, side, tunnels):
        self.lab, self.side, self.tunnels = lab, side, list(tunnels)
        self.process = None

    @classmethod
    def version(cls):
        """As people say it; "" where the version is that of this tree."""
        return ""

    def start(self): raise NotImplementedError
    def kill(self, sig): raise NotImplementedError
    def stop(self): raise NotImplementedError
    def reload(self): raise NotImplementedError
    def up(self, name="net"): raise NotImplementedError
    def down(self, name="net"): raise NotImplementedError
    def down_child(self, name="net"): raise NotImplementedError
    def rekey_child(self, name="net"): raise NotImplementedError
    def rekey_ike(self, name="net"): raise NotImplementedError
    def state(self, name="net"): raise NotImplementedError
    def log(self): raise NotImplementedError

    def down_quietly(self, name="net"):
        """Takes down what may or may not be up."""
        try:
            self.down(name)
        except Failed:
            pass
