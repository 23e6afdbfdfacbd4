// Package startup gives the kernel back what only a program's start needed. Of a program that is mostly libraries, half
// of the pages that are resident are of its start: tables that are built once, and the code that builds them. The kernel would drop them
// when it needs the room, and they would count as the member's until then.
package startup
