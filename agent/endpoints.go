package agent

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/law"
)

// maxBody bounds the requests of the endpoints here.
const maxBody = 64 << 10

const (
	// quorumWait is how long a request waits for a quorum at most: who asks is told, and may ask again.
	quorumWait = 10 * time.Second
	// leadWait is how long one waits at most until the leader has moved: less than the API lets any request take.
	leadWait = 50 * time.Second
)

// endpoints are what a member serves beside the kinds: what must be answered without quorum, and what is no object.
func (c *Core) endpoints(w *works) []apiserver.Endpoint {
	return []apiserver.Endpoint{
		{Path: v1alpha1.PathStatus, Role: v1alpha1.RoleViewer, Handler: get(func(*http.Request) (any, error) {
			v := c.store.View()
			c.reports.Look()
			runs, err := w.tally(v)
			if err != nil {
				return nil, err
			}
			s := c.fleetStatus(runs.clusters)
			s.Regions, s.Unwell = runs.regions(), runs.unwell()
			var worry string
			if s.Exposed, worry = c.openExposures(v); worry != "" {
				s.Warnings = append(s.Warnings, worry)
			}
			if s.Unplaced, err = c.unplaced(v); err != nil {
				return nil, err
			}
			s.Frozen, s.Rollouts, err = c.underWay(v)
			return s, err
		})},
		{Path: v1alpha1.PathMembers, Role: v1alpha1.RoleViewer, Handler: get(func(*http.Request) (any, error) {
			return c.memberList(), nil
		})},
		{Path: v1alpha1.PathBackup, Role: v1alpha1.RoleAdmin, Streams: true, Handler: http.HandlerFunc(c.serveBackup)},
		{Path: v1alpha1.PathSurvivor, Role: v1alpha1.RoleViewer, Handler: get(func(*http.Request) (any, error) {
			return c.statement(), nil
		})},
		{Path: v1alpha1.PathResume, Role: v1alpha1.RoleAdmin, Handler: c.serveResume(w)},
		{Path: v1alpha1.PathLead, Role: v1alpha1.RoleAdmin, Handler: http.HandlerFunc(c.serveLead)},
		{Path: v1alpha1.PathSecret, Role: v1alpha1.RoleAdmin, Handler: http.HandlerFunc(c.serveSecret)},
		{Path: v1alpha1.PathExposed, Role: v1alpha1.RoleViewer, Handler: c.serveLedger(exposed)},
		{Path: v1alpha1.PathReaders, Role: v1alpha1.RoleViewer, Handler: c.serveLedger(readersOfSecret)},
		{Path: v1alpha1.PathSealing, Role: v1alpha1.RoleViewer, Handler: c.serveNewest(sealingOfSecret)},
		{Path: v1alpha1.PathTokens, Role: v1alpha1.RoleAdmin, Handler: http.HandlerFunc(c.serveTokens)},
	}
}

// memberList tells `hanse kubeconfig` where each member serves its API, and how to know it.
func (c *Core) memberList() v1alpha1.MemberList {
	l := v1alpha1.MemberList{Fleet: c.self.Fleet, Member: c.self.Cluster, ServerName: apiServerName}
	for _, m := range c.store.View().Members() {
		l.Members = append(l.Members, v1alpha1.MemberServer{
			Cluster: m.Cluster, Server: m.Server,
			Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.Certificate})),
		})
	}
	return l
}

func (c *Core) serveTokens(w http.ResponseWriter, r *http.Request) {
	ask, ok := posted[v1alpha1.TokenRequest](w, r, "make a token with POST", "token request")
	if !ok {
		return
	}
	terms := law.Terms{Cluster: ask.Cluster, Region: ask.Region, Zone: ask.Zone, Labels: ask.Labels, Voting: ask.Voting, Rights: ask.Rights, Replace: ask.Replace}
	ctx, cancel := context.WithTimeout(r.Context(), within(r, quorumWait))
	defer cancel()
	t, err := c.createToken(ctx, apiserver.Asking(r.Context()), terms, time.Duration(ask.TTLSeconds)*time.Second)
	switch {
	case err != nil:
		fail(w, codeOf(err), err)
	default:
		if said := epoch.Strands(c.store.View(), terms); said != nil { // who joins may bring the key: the leader asks again then
			warn(w, said.Error())
		}
		answer(w, http.StatusCreated, v1alpha1.TokenAnswer{Token: t.String(), ID: t.ID(), Expires: t.Expires})
	}
}

// posted reads what was posted, field by field as we know them. When it is nothing that can be read, it has answered so.
func posted[T any](w http.ResponseWriter, r *http.Request, how, what string) (ask T, ok bool) {
	if r.Method != http.MethodPost {
		fail(w, http.StatusMethodNotAllowed, errors.New(how))
		return ask, false
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&ask); err != nil {
		fail(w, http.StatusBadRequest, fmt.Errorf("read %s: %w", what, err))
		return ask, false
	}
	return ask, true
}

// within is how long to wait for what a request needs: as long as the asker waits, less the time for the answer, and so
// long at most.
func within(r *http.Request, most time.Duration) time.Duration {
	asked, err := time.ParseDuration(r.URL.Query().Get("timeout"))
	if err != nil || asked <= 0 {
		return most
	}
	return min(most, asked-asked/8)
}

func get(what func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			fail(w, http.StatusMethodNotAllowed, errors.New("only GET is served here"))
			return
		}
		value, err := what(r)
		if err != nil {
			fail(w, http.StatusInternalServerError, err)
			return
		}
		answer(w, http.StatusOK, value)
	})
}

// warn adds a warning to an answer.
func warn(w http.ResponseWriter, text string) {
	w.Header().Add("Warning", fmt.Sprintf("299 - %q", text))
}

// fail answers with a Kubernetes Status, as the kinds do.
func fail(w http.ResponseWriter, code int, err error) {
	s := metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reasons[code], Message: err.Error(),
	}
	for sentinel, cause := range map[error]metav1.CauseType{store.ErrNoQuorum: apiserver.CauseNoQuorum, store.ErrUncertain: apiserver.CauseUncertain} {
		if errors.Is(err, sentinel) {
			s.Details = &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: cause, Message: err.Error()}}}
		}
	}
	answer(w, code, s)
}

// codeOf is the status for an error of a write.
func codeOf(err error) int {
	switch {
	case errors.As(err, new(epoch.Refusal)):
		return http.StatusConflict
	case errors.As(err, new(*store.Forbidden)):
		return http.StatusForbidden
	case errors.Is(err, store.ErrNoQuorum):
		return http.StatusServiceUnavailable
	case errors.Is(err, store.ErrUncertain):
		return http.StatusGatewayTimeout
	}
	return http.StatusBadRequest
}

// reasons are Kubernetes' words for the codes that the endpoints answer with.
var reasons = map[int]metav1.StatusReason{
	http.StatusBadRequest:          metav1.StatusReasonBadRequest,
	http.StatusForbidden:           metav1.StatusReasonForbidden,
	http.StatusNotFound:            metav1.StatusReasonNotFound,
	http.StatusTooManyRequests:     metav1.StatusReasonTooManyRequests,
	http.StatusConflict:            metav1.StatusReasonConflict,
	http.StatusMethodNotAllowed:    metav1.StatusReasonMethodNotAllowed,
	http.StatusInternalServerError: metav1.StatusReasonInternalError,
	http.StatusServiceUnavailable:  metav1.StatusReasonServiceUnavailable,
	http.StatusGatewayTimeout:      metav1.StatusReasonTimeout,
}

func answer(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(value) // the client may be gone; there is nobody else to tell
}
