package bench

import "net"

// freeTCP is an address of loopback whose port nobody has at this moment.
func freeTCP() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0" // whoever listens there says what is wrong
	}
	defer l.Close()
	return l.Addr().String()
}

// freeUDP is freeTCP for UDP.
func freeUDP() string {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0"
	}
	defer c.Close()
	return c.LocalAddr().String()
}
