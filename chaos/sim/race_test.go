//go:build race

package sim_test

func init() { underRace = true }
