package testbed

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
)

// free fails when somebody listens on one of the ports.
func (s Site) free(tcp, udp []int) error {
	for _, port := range tcp {
		l, err := net.Listen("tcp", s.hostport(port))
		if err != nil {
			return fmt.Errorf("port %s is taken: %w", s.hostport(port), err)
		}
		l.Close()
	}
	for _, port := range udp {
		conn, err := net.ListenPacket("udp", s.hostport(port))
		if err != nil {
			return fmt.Errorf("port %s/udp is taken: %w", s.hostport(port), err)
		}
		conn.Close()
	}
	return nil
}

// allFree fails when somebody listens on any port that the site needs.
func (s Site) allFree() error {
	return s.free([]int{portEtcd, portEtcdPeer, portAPIServer, portControllerManager, portMemberAPI}, []int{portMember})
}

// portReserved is listened to at the first address of a base while a testbed that chose it may not have started all of
// its programs yet.
const portReserved = 7945

// chooseBase is the first base at which every port of every site is free. It is the caller's until reserved is closed,
// or its programs run.
func chooseBase(regions, perRegion int) (base int, all []Site, reserved net.Listener, err error) {
	var taken []error
	for base := range maxBase + 1 {
		all, err := sites(base, regions, perRegion)
		if err != nil {
			return 0, nil, nil, err
		}
		reserved, err := net.Listen("tcp", all[0].hostport(portReserved))
		if err != nil {
			taken = append(taken, err)
			continue
		}
		if err := allFree(all); err != nil {
			reserved.Close()
			taken = append(taken, err)
			continue
		}
		return base, all, reserved, nil
	}
	return 0, nil, nil, fmt.Errorf("no free loopback addresses: %w", errors.Join(taken...))
}

func allFree(all []Site) error {
	for _, s := range all {
		if err := s.allFree(); err != nil {
			return err
		}
	}
	return nil
}

// freeSite is a site at a random address that testbeds do not use, for a cluster without a testbed. Tests of
// several packages run at the same time, each with its own.
func freeSite(name, region string) (Site, error) {
	var err error
	for range 20 {
		s := Site{Name: name, Region: region, Address: netip.AddrFrom4([4]byte{
			127, 250, byte(rand.IntN(256)), byte(1 + rand.IntN(254)),
		})}
		if err = s.allFree(); err == nil {
			return s, nil
		}
	}
	return Site{}, fmt.Errorf("find a free loopback address: %w", err)
}
