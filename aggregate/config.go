package aggregate

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Namespace holds what a member keeps in its cluster.
const Namespace = v1alpha1.MemberNamespace

// ServerName is the TLS server name by which a kube-apiserver asks for a member.
const ServerName = serviceName + "." + Namespace + ".svc"

// serviceName is of the Service behind the APIService.
const serviceName = "hanse"

// manager is the field manager of all that is written here.
const manager = "hanse-aggregate"

// Config says who registers what, and where.
type Config struct {
	// REST reaches the member's own cluster.
	REST *rest.Config
	// Fleet and Cluster are the member's.
	Fleet, Cluster string
	// Address is the host:port of the member's API as its own kube-apiserver reaches it.
	Address string
	// Key signs the certificate that kube-apiserver is shown. The same key after a restart means that nothing needs to
	// be registered anew.
	Key crypto.Signer
	// Life is for how long the API stays in the cluster, at most, when the member is dead. 0: DefaultLife.
	Life   time.Duration
	Logger *slog.Logger
}

func (c Config) life() time.Duration { return cmp.Or(c.Life, DefaultLife) }

func (c Config) validate() error {
	switch {
	case c.REST == nil:
		return errors.New("REST is missing")
	case c.Fleet == "" || c.Cluster == "":
		return errors.New("fleet or cluster is missing")
	case c.Key == nil:
		return errors.New("key is missing")
	case c.Logger == nil:
		return errors.New("logger is missing")
	}
	return nil
}

// anyAddress stands for one that does not matter.
var anyAddress = netip.IPv4Unspecified()

// backend is where kube-apiserver finds the member.
type backend struct {
	host string
	ip   netip.Addr // valid when a Service can point to it by an EndpointSlice
	port int32
}

// parseBackend reads host:port. Kubernetes lets no EndpointSlice hold a loopback or link-local address; a Service of
// type ExternalName takes one, and any name.
func parseBackend(address string) (backend, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return backend{}, fmt.Errorf("API address %q is not host:port", address)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 || host == "" {
		return backend{}, fmt.Errorf("API address %q lacks a host or a port", address)
	}
	b := backend{host: host, port: int32(port)}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" && ip.IsGlobalUnicast() {
		b.ip = ip.Unmap()
	}
	return b, nil
}
