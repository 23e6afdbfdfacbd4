// Package foreign opens what other tools sealed, so that it can be sealed for a group: files of SOPS with age keys, and SealedSecrets. What it
// opens is in memory alone, and no error has any of it.
package foreign
