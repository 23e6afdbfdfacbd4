package transport

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// Resolve takes IP addresses as they are and asks the system's resolver for names.
func Resolve(ctx context.Context, hostport string) ([]netip.AddrPort, error) {
	if err := CheckAddress(hostport); err != nil {
		return nil, err
	}
	host, text, _ := net.SplitHostPort(hostport)
	port, _ := strconv.ParseUint(text, 10, 16)
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), uint16(port))}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	list := make([]netip.AddrPort, 0, len(ips))
	for _, ip := range ips {
		list = append(list, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	return list, nil
}

// resolveAll resolves a peer's addresses side by side, so that a name server that is away holds up only its own
// names, and these no longer than within. It fails only when none resolves.
func resolveAll(ctx context.Context, resolve ResolveFunc, addresses []string, within time.Duration) ([]netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	lists := make([][]netip.AddrPort, len(addresses))
	errs := make([]error, len(addresses))
	var wg sync.WaitGroup
	for i, a := range addresses {
		wg.Go(func() {
			list, err := resolve(ctx, a)
			if err != nil {
				errs[i] = err
				return
			}
			lists[i] = list
		})
	}
	wg.Wait()
	if found := flatten(lists); len(found) > 0 {
		return found, nil
	}
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("resolve %q: %w", addresses[i], err)
		}
	}
	return nil, fmt.Errorf("resolve %q: no address", addresses)
}

// flatten keeps the order, drops repetitions and bounds the whole.
func flatten(lists [][]netip.AddrPort) []netip.AddrPort {
	var found []netip.AddrPort
	seen := make(map[netip.AddrPort]bool)
	for _, list := range lists {
		for _, ap := range list {
			if !seen[ap] && len(found) < maxResolved {
				seen[ap] = true
				found = append(found, ap)
			}
		}
	}
	return found
}
