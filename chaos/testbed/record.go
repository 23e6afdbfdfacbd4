package testbed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// record says which process it was that a testbed started: a process id alone may be somebody else's by now, but no
// two processes of one boot have the same id and start time. It is two lines, written by the process itself:
//
//	the kernel's boot id
//	the process's own /proc/PID/stat
type record struct {
	boot  string
	pid   int
	start uint64 // clock ticks since boot
}

// state is what /proc says of a process now.
type procState struct {
	pid   int
	state byte // R, S, D, Z …
	start uint64
}

func parseRecord(data string) (record, error) {
	boot, stat, ok := strings.Cut(strings.TrimSpace(data), "\n")
	if !ok {
		return record{}, errors.New("process record has one line, not two")
	}
	s, err := parseStat(stat)
	if err != nil {
		return record{}, fmt.Errorf("process record: %w", err)
	}
	return record{boot: strings.TrimSpace(boot), pid: s.pid, start: s.start}, nil
}

// parseStat reads a line of /proc/PID/stat. The program's name stands in parentheses and may itself contain
// parentheses and spaces, so fields are counted from the last one.
func parseStat(line string) (procState, error) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return procState{}, fmt.Errorf("no program name in %q", line)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line[:open]))
	if err != nil || pid <= 1 {
		return procState{}, fmt.Errorf("no process id in %q", line)
	}
	fields := strings.Fields(line[end+1:])
	const state, start = 0, 19 // fields 3 and 22 of proc_pid_stat(5)
	if len(fields) <= start {
		return procState{}, fmt.Errorf("%d fields in %q", len(fields), line)
	}
	ticks, err := strconv.ParseUint(fields[start], 10, 64)
	if err != nil {
		return procState{}, fmt.Errorf("start time in %q: %w", line, err)
	}
	return procState{pid: pid, state: fields[state][0], start: ticks}, nil
}

// readRecord is ok when the file names a process that is alive now.
func readRecord(path string) (r record, ok bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return record{}, false
	}
	r, err = parseRecord(string(data))
	if err != nil {
		return record{}, false
	}
	return r, r.alive()
}

// alive is true while the very process that wrote the record runs. A zombie no longer runs, once its last thread
// has ended.
func (r record) alive() bool {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || strings.TrimSpace(string(boot)) != r.boot {
		return false
	}
	dir := filepath.Join("/proc", strconv.Itoa(r.pid))
	line, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return false
	}
	now, err := parseStat(string(line))
	if err != nil || now.start != r.start {
		return false
	}
	if now.state != 'Z' && now.state != 'X' {
		return true
	}
	threads, err := os.ReadDir(filepath.Join(dir, "task"))
	return err == nil && len(threads) > 1
}
