package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"ticketgate/store"
)

// problem is an error as a client reads it (RFC 9457). It never holds a value
// that a client sent, nor the text of an error from below.
type problem struct {
	Type      string       `json:"type" doc:"about:blank, or urn:ticketgate:problem: and the reason"`
	Title     string       `json:"title" doc:"the status in words"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail,omitempty" doc:"what is wrong here"`
	Reason    string       `json:"reason,omitempty" doc:"a word to tell errors of one status apart"`
	RequestID string       `json:"request_id,omitempty" doc:"the log's name for this request"`
	Limit     int64        `json:"limit,omitempty" doc:"of the size of a body, in bytes"`
	Errors    []fieldError `json:"errors,omitempty" doc:"the fields that were refused"`

	header http.Header
}

// fieldError is one refused field of the input.
type fieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error, GetStatus, ContentType and GetHeaders are what huma asks of an error
// that it is to write as it is.
func (p *problem) Error() string             { return p.Detail }
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) GetHeaders() http.Header   { return p.header }
func (p *problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

func newProblem(status int, detail string) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

// invalid is the 422 of one field.
func invalid(field, message string) *problem {
	p := newProblem(http.StatusUnprocessableEntity, "a field was refused")
	p.Errors = []fieldError{{Field: field, Message: message}}
	return p
}

// unauthorized is the 401. It says what kind of login is asked for (RFC 6750, 3).
func unauthorized(detail string) *problem {
	p := newProblem(http.StatusUnauthorized, detail)
	p.header = http.Header{"Www-Authenticate": {`Bearer realm="ticketgate"`}}
	return p
}

func (p *problem) because(reason string) *problem {
	if reason != "" {
		p.Reason, p.Type = reason, "urn:ticketgate:problem:"+reason
	}
	return p
}

func (p *problem) tooLarge(limit int64) *problem {
	p.Limit = limit
	return p
}

// problemOf turns any error into what a client may read of it. It is the one
// place where the codes of store.Error become HTTP.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	e, ok := errors.AsType[*store.Error](err)
	if !ok {
		return unclassified(err)
	}
	switch e.Code {
	case store.CodeInvalid:
		return problemOfInput(e)
	case store.CodeNotFound:
		return notFound()
	case store.CodeForbidden:
		return newProblem(http.StatusForbidden, e.Message).because(e.Reason)
	case store.CodeConflict:
		return problemOfConflict(e)
	case store.CodeTooLarge:
		return newProblem(http.StatusRequestEntityTooLarge, e.Message).because(e.Reason)
	case store.CodeRejected:
		return newProblem(http.StatusUnprocessableEntity, e.Message).because(e.Reason)
	case store.CodeData:
		return newProblem(http.StatusUnprocessableEntity, "the store can't hold this")
	case store.CodeUnavailable:
		return unavailable("a part that this needs does not answer, try again").because(e.Reason)
	}
	return internal()
}

func problemOfConflict(e *store.Error) *problem {
	if e.Reason == store.ReasonVersion {
		return newProblem(http.StatusPreconditionFailed, "the ticket was changed since you read it").because(e.Reason)
	}
	p := newProblem(http.StatusConflict, e.Message).because(e.Reason)
	if e.Field != "" {
		p.Errors = []fieldError{{Field: e.Field, Message: e.Message}}
	}
	return p
}

func problemOfInput(e *store.Error) *problem {
	if e.Field == "cursor" {
		return newProblem(http.StatusBadRequest, "the cursor is not one of ours")
	}
	if e.Field == "" {
		return newProblem(http.StatusUnprocessableEntity, e.Message).because(e.Reason)
	}
	return invalid(e.Field, e.Message).because(e.Reason)
}

// unclassified is what comes from no room of ours: a request that its client
// gave up, or a fault.
func unclassified(err error) *problem {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return unavailable("the request ended before its work did")
	}
	return internal()
}

// notFound is the same whether a thing is not there or not for the caller.
func notFound() *problem { return newProblem(http.StatusNotFound, "there is no such thing") }

func internal() *problem {
	return newProblem(http.StatusInternalServerError, "this is a fault of ours; the log has it under the request id")
}

func unavailable(detail string) *problem {
	p := newProblem(http.StatusServiceUnavailable, detail)
	p.header = http.Header{"Retry-After": {"5"}}
	return p
}

// fail writes err as the answer of an operation, and logs what is ours.
func (a *api) fail(hc huma.Context, err error) {
	p := a.report(hc.Context(), err)
	for name, values := range p.header {
		hc.SetHeader(name, values[0])
	}
	hc.SetHeader("Content-Type", problemType)
	hc.SetStatus(p.Status)
	_ = json.NewEncoder(hc.BodyWriter()).Encode(p) // a client that is gone needs no answer
}

// report makes the problem of err for one request and logs faults and trouble
// of ours.
func (a *api) report(ctx context.Context, err error) *problem {
	p := *problemOf(err)
	p.RequestID = requestID(ctx)
	switch {
	case p.Status < http.StatusInternalServerError:
	case ctx.Err() != nil:
		a.Log.InfoContext(ctx, "the client left", "request_id", p.RequestID, "status", p.Status, "err", err)
	default:
		a.Log.ErrorContext(ctx, "request failed", "request_id", p.RequestID, "status", p.Status, "err", err)
	}
	return &p
}

// maxErrors is how many refused fields one answer names: a body with a million
// of them gets no longer an answer than one with a hundred.
const maxErrors = 100

// plainProblem rewrites the errors of huma's own checks: they echo the value
// that was refused, and call the field a location.
func (a *api) plainProblem(hc huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := newProblem(m.Status, "what was sent does not fit")
	p.RequestID = requestID(hc.Context())
	for _, e := range m.Errors[:min(len(m.Errors), maxErrors)] {
		p.Errors = append(p.Errors, plainError(e))
	}
	return p, nil
}

// plainError says of one of huma's errors which field it is and what is wrong
// with it. A field that is missing is named itself, and not what it is missing
// from.
func plainError(e *huma.ErrorDetail) fieldError {
	name, missing := strings.CutPrefix(e.Message, "expected required property ")
	name, _, _ = strings.Cut(name, " ")
	switch {
	case !missing:
		return fieldError{Field: fieldOf(e.Location), Message: plainMessage(e.Message)}
	case e.Location == "body":
		return fieldError{Field: name, Message: "is required"}
	}
	return fieldError{Field: fieldOf(e.Location) + "." + name, Message: "is required"}
}

// fieldOf gives the name of a field as a client wrote it: body.to[0] is to[0].
func fieldOf(location string) string {
	for _, place := range []string{"body.", "query.", "path.", "header."} {
		if name, ok := strings.CutPrefix(location, place); ok {
			return shortened(name)
		}
	}
	return shortened(location)
}

func shortened(name string) string {
	if len(name) > 100 {
		name = strings.ToValidUTF8(name[:100], "")
	}
	return name
}

// plainMessage keeps the messages that name what was expected, and replaces
// those of decoders, which quote what they read.
func plainMessage(message string) string {
	if strings.HasPrefix(message, "expected ") || strings.HasPrefix(message, "un") ||
		strings.HasPrefix(message, "required ") {
		return message
	}
	return "is not of the expected form"
}
