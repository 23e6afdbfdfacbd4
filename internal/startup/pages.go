package startup

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// span is a range of addresses of a program's own file, as it lies on the disk, and how much of it is resident.
type span struct {
	from, to uintptr
	resident int64
}

// pagesOf reads from a process's smaps what of a file is there to be read or run, and was never written to: it can be taken away at any
// time, and comes back from the file.
func pagesOf(file string, smaps io.Reader) (all []span, err error) {
	var now span
	ours := false
	take := func() {
		if ours {
			all = append(all, now)
		}
		ours = false
	}
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) >= 5 && !strings.HasSuffix(words[0], ":") { // 00400000-027b9000 r-xp 00000000 00:30 1234 /usr/bin/hanse
			take()
			if now, err = spanOf(words[0]); err != nil {
				return nil, err
			}
			ours = words[1][0] == 'r' && words[1][1] == '-' && len(words) == 6 && words[5] == file
			continue
		}
		if !ours || len(words) < 2 {
			continue
		}
		switch size, _ := strconv.ParseInt(words[1], 10, 64); words[0] { // Rss: 28964 kB
		case "Rss:":
			now.resident = size << 10
		case "Anonymous:", "Swap:":
			ours = ours && size == 0 // relocated: the file does not have it
		}
	}
	take()
	return all, lines.Err()
}

func spanOf(word string) (s span, err error) {
	from, to, _ := strings.Cut(word, "-")
	a, err := strconv.ParseUint(from, 16, 64)
	if err != nil {
		return s, fmt.Errorf("read mapping %q: %w", word, err)
	}
	b, err := strconv.ParseUint(to, 16, 64)
	if err != nil || b < a {
		return s, fmt.Errorf("read mapping %q: no range of addresses", word)
	}
	return span{from: uintptr(a), to: uintptr(b)}, nil
}
