package agent

import (
	"fmt"
	"time"
)

// zones remembers time zones: one is read from disk, or from the program when the disk has none.
type zones map[string]*time.Location

func (z zones) of(name string) (*time.Location, error) {
	if zone, known := z[name]; known {
		return zone, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("find time zone %q: %w", name, err)
	}
	z[name] = zone
	return zone, nil
}
