package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Bounds of what a Prometheus may answer, and of what is told of its errors.
const (
	maxMetricAnswer = 1 << 20
	maxMetricError  = 200
)

// metricAnswer is as Prometheus answers an instant query: a scalar, or a vector of samples; each number is beside its time, as text.
type metricAnswer struct {
	Status string
	Error  string
	Data   struct {
		ResultType string
		Result     json.RawMessage
	}
}

// askMetric says whether a gate passes, and what it said; an error is that it said nothing. Redirections are for who asks to follow.
func askMetric(ctx context.Context, client *http.Client, m v1alpha1.MetricGate) (passes bool, said string, err error) {
	_, timeout := m.Pace()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	numbers, err := queryMetric(ctx, client, m)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return false, "", fmt.Errorf("%s does not answer in %s", m.URL, timeout)
	case err != nil:
		return false, "", fmt.Errorf("ask %s: %w", m.URL, err)
	case len(numbers) == 0:
		return false, "", errors.New("the query yields nothing")
	}
	for _, n := range numbers {
		said = strconv.FormatFloat(n, 'g', 6, 64) + ", must be " + m.Must
		if passes, err = m.Holds(n); err != nil || !passes {
			return false, said, err
		}
	}
	return true, said, nil
}

// queryMetric are the numbers that the query of a gate yields.
func queryMetric(ctx context.Context, client *http.Client, m v1alpha1.MetricGate) ([]float64, error) {
	at, err := url.Parse(m.URL)
	if err != nil {
		return nil, err
	}
	at = at.JoinPath("api/v1/query")
	at.RawQuery = url.Values{"query": {m.Query}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(r)
	if err != nil {
		var on *url.Error
		if errors.As(err, &on) {
			err = on.Err // it says the query again
		}
		return nil, err
	}
	defer response.Body.Close()
	var answer metricAnswer
	err = json.NewDecoder(io.LimitReader(response.Body, maxMetricAnswer)).Decode(&answer)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("no answer of a Prometheus: %s", response.Status)
	case answer.Status != "success":
		return nil, errors.New(oneLine(answer.Error))
	}
	return answer.numbers()
}

func (a metricAnswer) numbers() (numbers []float64, err error) {
	samples := []struct{ Value [2]any }{{}}
	switch a.Data.ResultType {
	case "scalar":
		err = json.Unmarshal(a.Data.Result, &samples[0].Value)
	case "vector":
		err = json.Unmarshal(a.Data.Result, &samples)
	default:
		err = fmt.Errorf("the query yields a %s, and must yield a number, or a vector", oneLine(a.Data.ResultType))
	}
	if err != nil {
		return nil, err
	}
	for _, s := range samples {
		text, _ := s.Value[1].(string)
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			n = math.NaN() // which passes no gate
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// oneLine is what a stranger said, short enough for a status.
func oneLine(said string) string {
	said = strings.Join(strings.Fields(strings.ToValidUTF8(said, "?")), " ")
	if runes := []rune(said); len(runes) > maxMetricError {
		return string(runes[:maxMetricError]) + "…"
	}
	return said
}
