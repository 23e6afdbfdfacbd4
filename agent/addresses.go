package agent

import (
	"errors"
	"fmt"
	"net"
)

// merged is a with every address that over names put in its place.
func (a Addresses) merged(over Addresses) Addresses {
	if over.Listen != "" {
		a.Listen = over.Listen
	}
	if over.APIListen != "" {
		a.APIListen = over.APIListen
	}
	if len(over.Advertise) > 0 {
		a.Advertise = over.Advertise
	}
	if over.APIAdvertise != "" {
		a.APIAdvertise = over.APIAdvertise
	}
	return a
}

// completed fills in what was left empty, and checks the form of all.
func (a Addresses) completed() (Addresses, error) {
	a = Addresses{Listen: DefaultListen, APIListen: DefaultAPIListen}.merged(a)
	var err error
	if len(a.Advertise) == 0 {
		var udp string
		udp, err = reachable(a.Listen)
		a.Advertise = []string{udp}
	}
	if a.APIAdvertise == "" && err == nil {
		a.APIAdvertise, err = reachable(a.APIListen)
	}
	if err != nil {
		return a, err
	}
	for _, hostport := range append([]string{a.Listen, a.APIListen, a.APIAdvertise}, a.Advertise...) {
		if _, _, err := net.SplitHostPort(hostport); err != nil {
			return a, fmt.Errorf("address %q is not host:port: %w", hostport, err)
		}
	}
	return a, nil
}

// reachable is listen with a host that others can dial: its own, or the first global address of this machine.
func reachable(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("address %q is not host:port: %w", listen, err)
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return listen, nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("list own addresses: %w", err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return net.JoinHostPort(n.IP.String(), port), nil
		}
	}
	return "", errors.New("this machine has no global address; say where others reach it with --advertise and --api-advertise")
}
