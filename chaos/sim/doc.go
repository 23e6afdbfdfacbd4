// Package sim runs whole fleets in virtual time: the members are real (package agent's Core: consensus on real files,
// QUIC with real TLS), the network between them and the clock are simulated. It is for tests, inside a testing/synctest
// bubble: minutes of a fleet's life take seconds, and packets are delayed, dropped and cut as the test says.
package sim
