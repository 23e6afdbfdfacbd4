package v1alpha1

import (
	"cmp"
	"slices"
)

// Unseen says that another cluster is to look yet at what it tells.
func (s *Sealing) Unseen() bool {
	return s.Confirmed == "" && (s.Again() || s.Witness == "")
}

// Wrote says that a cluster wrote what it found with the key of Epoch: it does so once.
func (s *Sealing) Wrote(cluster string) bool {
	return cluster == s.By || cluster == s.Instead || slices.ContainsFunc(s.Words, func(w SealedWord) bool { return w.By == cluster && w.Epoch == s.Epoch })
}

// ConfirmedBy is the record once a cluster found the same: then what was before goes, if there is something in its place.
func (s Sealing) ConfirmedBy(cluster string) Sealing {
	s.Confirmed = cluster
	if s.Witness == "" {
		s.Witness = cluster
	}
	if s.Again() {
		s.Was, s.Words = nil, nil
	}
	return s
}

// Leaves is what a cluster's record with the key of an epoch, that takes the place of this one, has to keep of it: what two agreed on, and what each
// other one sealed again since. Of more than a few the earliest go, and so does what is sealed to an earlier key than the oldest that the group keeps.
func (s *Sealing) Leaves(to string, epoch, oldest int64) (was *SealedBefore, words []SealedWord) {
	if s == nil {
		return nil, nil
	}
	if was = s.agreed(); was != nil && was.Epoch < oldest {
		was = nil
	}
	if s.Sure() {
		return was, nil
	}
	kept := 0
	for _, w := range slices.Backward(s.said()) {
		if w.By == to || w.Epoch < oldest {
			continue
		}
		if kept += min(len(w.Data), 1); kept > maxWords {
			w.Data = nil
		}
		if len(w.Data) > 0 || w.None || w.Epoch == epoch {
			words = append(words, w)
		}
	}
	slices.Reverse(words)
	return was, words
}

// agreed is what two clusters agreed on, nil for nothing.
func (s *Sealing) agreed() *SealedBefore {
	switch {
	case s.Sure():
		return &SealedBefore{s.Epoch, s.Data}
	case s.Was != nil && s.Was.Epoch == s.Epoch: // earlier builds kept so what nobody had confirmed
		return nil
	}
	return s.Was
}

// said is what single clusters sealed again, the last of each; without data, that one wrote a record.
func (s *Sealing) said() (all []SealedWord) {
	if s.Was != nil && s.Was.Epoch == s.Epoch {
		all = append(all, SealedWord{By: s.Instead, Epoch: s.Epoch, Data: s.Was.Data})
	}
	all = append(all, s.Words...)
	if s.Confirmed == "" {
		all = append(all, SealedWord{s.By, s.Epoch, s.Data, s.Found == 0})
	}
	return all
}

// HasAgain says that something was sealed again of it, be it believed or not.
func (s *Sealing) HasAgain() bool {
	return s != nil && (s.agreed() != nil || slices.ContainsFunc(s.said(), func(w SealedWord) bool { return len(w.Data) > 0 }))
}

// SealedAgain is a form of what was sealed again of a revision.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type SealedAgain struct {
	SealedBefore
	// By is the cluster whose word it is, "" for what two agreed on.
	By string
	// Told is the record that says how the revision is sealed, as far as that is believed, too; nil: nobody can tell.
	Told *Sealing
}

// Believed is what a cluster takes what was sealed again for.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Believed struct {
	// Agreed is what two clusters agreed on, and Own what this one sealed itself.
	Agreed, Own []SealedAgain
	// Word is what others say, each alone: as long as all that opens of it is the same, it is better than nothing. Else nobody can tell which of them to believe.
	Word []SealedAgain
	// None are the clusters that say that no key opens it: then nobody believes a word of one either.
	None []string
}

// BelievedBy says what a cluster, or, without a name, who holds no key, takes some records for, of a revision and of others with the very same bytes.
func BelievedBy(cluster string, all ...*Sealing) (b Believed) {
	for _, s := range all {
		if s == nil {
			continue
		}
		told := s
		if s.Witness == "" && (s.By != cluster || cluster == "") {
			told = nil
		}
		if s.Found == 0 && s.Witness != "" {
			b.None = append(b.None, s.By)
		}
		if is := s.agreed(); is != nil {
			b.Agreed = append(b.Agreed, SealedAgain{*is, "", told})
		}
		for _, w := range s.said() {
			one := SealedAgain{SealedBefore{w.Epoch, w.Data}, w.By, told}
			switch {
			case w.None:
				b.None = append(b.None, w.By)
			case len(w.Data) == 0:
			case w.By == cluster && cluster != "":
				b.Own = append(b.Own, one)
			default:
				b.Word = append(b.Word, one)
			}
		}
	}
	return b
}

// Parties are the clusters whose words some are.
func Parties(words ...SealedAgain) (by []string) {
	for _, one := range words {
		if !slices.Contains(by, one.By) {
			by = append(by, one.By)
		}
	}
	return by
}

// SecretSealingOf tells what was sealed again of a revision, and of others with the very same bytes: the latest that two agreed on first.
func SecretSealingOf(revision string, all []*Sealing) SecretSealing {
	latest := func(s *Sealing) int64 {
		if is := s.agreed(); is != nil {
			return is.Epoch
		}
		return 0
	}
	all = slices.SortedStableFunc(slices.Values(all), func(a, b *Sealing) int { return cmp.Compare(latest(b), latest(a)) })
	if len(all) == 0 {
		return SecretSealing{BundleRevision: revision}
	}
	return SecretSealing{BundleRevision: revision, Sealing: all[0], Alike: append([]*Sealing(nil), all[1:]...)}
}

// All are what was sealed again of the secret.
func (s *SecretSealing) All() []*Sealing { return append([]*Sealing{s.Sealing}, s.Alike...) }
