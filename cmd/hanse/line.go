package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// line is how a cluster's API is asked, through the member that is asked, until hangUp ends all its connections.
type line struct {
	*rest.Config
	hangUp func()
}

// open comes to a cluster. One that is not reached is said so once, and not tried again as client-go would.
func (r *reach) open(ctx context.Context, cluster string) (*line, error) {
	config, err := r.tlsTo(cluster)
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.Background())
	dial := func(ctx context.Context) (net.Conn, error) {
		conn, err := r.dial(ctx, cluster)
		if err == nil {
			context.AfterFunc(life, func() { conn.Close() })
		}
		return conn, err
	}
	conn, err := dial(ctx)
	if err != nil {
		end()
		return nil, err
	}
	first := make(chan net.Conn, 1)
	first <- conn
	carrier := &http.Transport{ // without Proxy: the way is through the member
		TLSClientConfig: config, ForceAttemptHTTP2: true,
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingEvery, PingTimeout: pingEvery / 2}, // a log that is followed may be silent
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			select {
			case conn := <-first:
				return conn, nil
			default:
				return dial(ctx)
			}
		},
	}
	return &line{
		Config: &rest.Config{
			Host: "https://" + r.members.ServerName + strings.TrimSuffix(v1alpha1.PathCluster, "/"), Transport: introduced{carrier},
			UserAgent: "hanse", QPS: -1, WarningHandler: rest.NoWarnings{}, ContentConfig: rest.ContentConfig{NegotiatedSerializer: statusOnly()},
		},
		hangUp: func() { carrier.CloseIdleConnections(); end() },
	}, nil
}

// pingEvery is how long a connection may be silent until the other side is asked whether it is there.
const pingEvery = 30 * time.Second

// tlsTo is the person's TLS to a cluster's member, who is known by its key: no authority, its own included, may speak for another.
func (r *reach) tlsTo(cluster string) (*tls.Config, error) {
	key, err := r.key(cluster)
	if err != nil {
		return nil, err
	}
	person, err := tls.X509KeyPair(r.person.ClientCertificateData, r.person.ClientKeyData)
	if err != nil {
		return nil, fmt.Errorf("read your certificate: %w", err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{person}, ServerName: r.members.ServerName, MinVersion: tls.VersionTLS13,
		InsecureSkipVerify: true, // VerifyConnection takes its place
		VerifyConnection: func(s tls.ConnectionState) error {
			if v1alpha1.PinOf(s.PeerCertificates[0].RawSubjectPublicKeyInfo) != key.pin {
				return errors.New("who answers for " + cluster + " has not the key of its member")
			}
			return nil
		},
	}, nil
}
