// Package report carries observed state between members: that each lives, what runs in its cluster, and what it measures. Each
// tells a few others, who pass it on; nothing of it goes through the log. DESIGN.md says how.
package report
