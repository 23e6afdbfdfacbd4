package kvstorage

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// Causes in the details of an error's status, for clients that decide on them.
const (
	// CauseNoQuorum marks a 503: surely not written.
	CauseNoQuorum metav1.CauseType = "NoQuorum"
	// CauseStarting marks a 503: the member does not know the fleet's state yet. Nothing was done.
	CauseStarting metav1.CauseType = "Starting"
	// CauseNotKnown marks a 503: not here, and without quorum nobody can say that it is nowhere.
	CauseNotKnown metav1.CauseType = "NotKnown"
	// CauseUncertain marks a 504: it may have been written; repeating is safe.
	CauseUncertain metav1.CauseType = "Uncertain"
)

const expiredWatch = "the history no longer reaches back to that resourceVersion; list again and watch from there"

// writeError says what the failure of a proposal means to the person who asked. A conflict is left as it is.
func (s *Storage) writeError(err error, key string) error {
	var forbidden *store.Forbidden
	var conflict *store.Conflict
	var invalid *store.Invalid
	switch {
	case errors.As(err, &conflict):
		return err
	case errors.As(err, &forbidden):
		return apierrors.NewForbidden(s.Resource, s.name(key), errors.New(forbidden.Reason))
	case errors.As(err, &invalid):
		return apierrors.NewBadRequest(invalid.Error())
	case errors.Is(err, store.ErrNoQuorum):
		return s.noQuorum(err)
	case errors.Is(err, store.ErrUncertain), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return uncertain(err)
	}
	return fmt.Errorf("write %s %s: %w", s.Resource, s.name(key), err)
}

func (s *Storage) noQuorum(err error) error {
	missed := s.Quorum.missed().Round(time.Second)
	status := apierrors.NewServiceUnavailable(fmt.Sprintf("%s, for %s: nothing was written; reads work (revision %d)", err, missed, s.Store.View().Revision()))
	status.ErrStatus.Details = &metav1.StatusDetails{
		Group: s.Resource.Group, Kind: s.Resource.Resource, RetryAfterSeconds: 1,
		Causes: []metav1.StatusCause{{Type: CauseNoQuorum, Message: err.Error()}},
	}
	return status
}

// unknown says that an object that is not here may be elsewhere. It must not be taken for gone: a garbage collector that
// finds an owner gone deletes what it owned. It has no Retry-After: clients that obey it would only wait.
func (s *Storage) unknown(v sight, key string) error {
	status := apierrors.NewServiceUnavailable(fmt.Sprintf("%s %q is not here, and may be elsewhere: %s", s.Resource, s.name(key), s.stale(v.View)))
	status.ErrStatus.Details = &metav1.StatusDetails{
		Group: s.Resource.Group, Kind: s.Resource.Resource, Name: s.name(key),
		Causes: []metav1.StatusCause{{Type: CauseNotKnown, Message: v.stale.Error()}},
	}
	return status
}

// Starting says that the member does not know the fleet's state yet.
func Starting(message string) *apierrors.StatusError {
	status := apierrors.NewServiceUnavailable(message)
	status.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: 1, Causes: []metav1.StatusCause{{Type: CauseStarting, Message: message}}}
	return status
}

// uncertain has no Retry-After: clients that obey it would repeat a create and report that the object exists.
func uncertain(err error) error {
	status := apierrors.NewTimeoutError(fmt.Sprintf("%s; look, or repeat it: that is safe", err), 0)
	status.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: CauseUncertain, Message: err.Error()}}
	return status
}

// Because is an error of a companion that clients decide on.
type Because interface {
	error
	// Cause is told in the details of the status.
	Cause() metav1.CauseType
}

// refused says that a companion does not allow the change, in its own words if they are the API's.
func (s *Storage) refused(c change, err error) error {
	if answer := apierrors.APIStatus(nil); errors.As(err, &answer) {
		return err
	}
	if forbidden := (*store.Forbidden)(nil); errors.As(err, &forbidden) {
		status := apierrors.NewForbidden(s.Resource, s.name(c.key), errors.New(forbidden.Reason))
		if because := Because(nil); errors.As(err, &because) {
			status.ErrStatus.Details.Causes = append(status.ErrStatus.Details.Causes, metav1.StatusCause{Type: because.Cause(), Message: forbidden.Reason})
		}
		return status
	}
	return apierrors.NewConflict(s.Resource, s.name(c.key), err)
}

// unreadable names a value that no version of ours should have let into the log. A list or a watch ends with it and does not go
// on without: what is missing would be taken for deleted, and what it owned with it.
func (s *Storage) unreadable(key string, err error) error {
	if err == nil {
		return nil
	}
	return apierrors.NewInternalError(fmt.Errorf("%s %q cannot be read, and nothing is told as if it were not there: %w", s.Resource, s.name(key), err))
}
