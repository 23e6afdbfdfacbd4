// Package relay passes on what real sockets send, late: a network with a distance, in user space. Datagrams carries
// UDP, Streams carries TCP; both keep the order and add nothing but the delay.
package relay

import "time"

// parcel is what waits for its time.
type parcel struct {
	at   time.Time
	data []byte
}

// queued bounds the parcels that wait in one direction. A relay whose queue is full drops datagrams and holds streams
// back, as a router does.
const queued = 1 << 14

// wait sleeps until the parcel is due.
func (p parcel) wait() { time.Sleep(time.Until(p.at)) }
