// Package startup makes the start of a program that is mostly libraries cheap, and gives the kernel back what only that start needed. Half of such a
// program's pages that are resident are of its start: tables that are built once, and the code that builds them. The kernel would drop them
// when it needs the room, and they would count as the member's until then.
package startup
