package quota

import "testing"

func TestEachHasSoManyAndNoMore(t *testing.T) {
	q := New(2)
	leave, first := q.Take("anna")
	_, second := q.Take("anna")
	if _, third := q.Take("anna"); !first || !second || third {
		t.Errorf("two may be taken, and no third: %v, %v, %v", first, second, third)
	}
	if _, other := q.Take("berta"); !other {
		t.Error("one who has nothing got nothing")
	}
	leave()
	leave()
	_, again := q.Take("anna")
	if _, more := q.Take("anna"); !again || more {
		t.Errorf("what was given back once can be taken once: %v, %v", again, more)
	}
}
