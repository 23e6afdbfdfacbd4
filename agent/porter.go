package agent

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/hanse-fleet/hanse/aggregate"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/transport"
)

// portersPatience is as long as a kube-apiserver waits when it looks whether an API of others is there.
const portersPatience = 5 * time.Second

// attend tells whoever comes to the doors that the member is starting, until it is relieved. That must be before anybody
// else listens there.
func attend(o Options, dir dataDir, me self, d doors) (relieve func() error) {
	certificates, err := servingCertificates(o, dir, me)
	if err != nil { // the member itself says what is wrong with its key
		return func() error { return nil }
	}
	p := apiserver.Porter{Cluster: me.Cluster, Certificates: certificates, Patience: portersPatience, Logger: o.Logger.With("room", "apiserver")}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx, d.people, d.local) }()
	return func() error { cancel(); return <-ended }
}

// servingCertificates are what the member's API will show.
func servingCertificates(o Options, dir dataDir, me self) ([]tls.Certificate, error) {
	identity, err := transport.LoadIdentity(dir.folder, dir.key)
	if err != nil {
		return nil, err
	}
	addresses, err := me.Addresses.completed()
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(addresses.APIAdvertise)
	if err != nil {
		return nil, err
	}
	own, err := identity.Serving(host)
	if err != nil || !o.Aggregate {
		return []tls.Certificate{own}, err
	}
	key, err := signer(identity)
	if err != nil {
		return nil, err
	}
	inCluster, err := aggregate.Certificate(key, me.Fleet, me.Cluster)
	return []tls.Certificate{own, inCluster}, err
}

func signer(i transport.Identity) (crypto.Signer, error) {
	key, ok := i.TLS().PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("the member's key cannot sign")
	}
	return key, nil
}
