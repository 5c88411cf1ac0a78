package api

import (
	"context"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"ticketgate/store"
)

// The tags of operations: which people they are for.
const (
	tagAdmin = "admin" // admins only
	tagDesk  = "desk"  // every agent, within what he may see
)

// The limits of a body.
const (
	smallBody = 1 << 20  // a JSON document
	largeBody = 70 << 20 // a mail, or files in base64: 50 MiB and a third
)

// route is one operation: what the guard and the description need to know.
type route struct {
	id           string // unique: operationId, and the label of its metric
	method       string
	path         string // below Prefix
	summary      string
	tag          string
	pure         bool     // a POST that may well run again: no answer of it is kept
	open         bool     // for everybody, logged in or not
	large        bool     // a mail or files come in
	most         int64    // octets of the body; 0: by large
	media        []string // accepted types of the body; none: JSON
	serves       string   // type of a download; none: any
	status       int      // of success; 0: 200, or 204 where nothing is answered
	again        string   // why it may answer 200 with the same, in place of what it makes; "": never
	personal     bool     // changes how the caller logs in: not for tokens with scopes or an end
	record       bool     // stands in the audit log though it is no admin's
	tokenInQuery bool     // takes a token of POST /events/token as ?token=
	anyQuery     bool     // others write its query, and may write more into it than it knows
	// find tells whether the thing that the path names is there for the
	// caller (nil or a not_found), before his role or his body are looked at.
	find func(ctx context.Context, c *call) error
	// syntax refuses (400) what huma's reading of parameters, which comes
	// later and answers 422, can't know to be wrong. Nil: nothing.
	syntax func(ctx context.Context, c *call, hc huma.Context) error
}

// limit is the size in bytes that a body may have.
func (r route) limit() int64 {
	if r.most > 0 {
		return r.most
	}
	if r.large {
		return largeBody
	}
	return smallBody
}

// audited tells whether the log says who did this: all that sets the desk up, or
// changes how people and programs get in.
func (r route) audited() bool {
	return r.record || r.tag == tagAdmin && r.method != http.MethodGet && !r.pure
}

// call is one request on its way through the gates.
type call struct {
	agent   *store.Agent        // nil on what is open
	token   store.Token         // this,
	session store.LoginSession  // or this; the other one is empty
	param   func(string) string // of the path
	query   func(string) string
	ticket  store.Ticket        // set by find, on paths below a ticket
	entry   store.Activity      // set by find, on paths below an activity
	draft   store.Draft         // set by find, on paths of the caller's own draft
	view    store.View          // set by find, on paths of a view
	after   store.EventPosition // where a stream of events begins
	missed  bool                // events behind that are no longer kept
	audit   *store.Audit        // of what is audited: the line to be written
	written bool                // and that it is
}

// agentID is whom the call's token or session is of.
func (c *call) agentID() string {
	if c.session.ID != "" {
		return c.session.AgentID
	}
	return c.token.AgentID
}

// credential is the id of the call's token or session.
func (c *call) credential() string {
	if c.session.ID != "" {
		return c.session.ID
	}
	return c.token.ID
}

// admin tells whether the caller may do all.
func (c *call) admin() bool { return c.agent.Role == store.RoleAdmin }

type callKey struct{}

// callOf gives the call that the guard put into a request's context.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// add registers an operation: the guard before, the check of all its strings
// after huma's reading, and errors turned into problems.
func add[I, O any](a *api, r route, handle func(ctx context.Context, c *call, in *I) (*O, error)) {
	if a.HideAdmin && r.tag == tagAdmin {
		return
	}
	a.routes = append(a.routes, r)
	op := huma.Operation{
		OperationID: r.id, Method: r.method, Path: r.path, Summary: r.summary, Tags: []string{r.tag},
		DefaultStatus: r.status, MaxBodyBytes: r.limit() + 2, BodyReadTimeout: -1,
		Responses:   map[string]*huma.Response{"default": a.problemResponse()},
		Middlewares: huma.Middlewares{a.guard(r, bodyOf[I]())}, SkipValidateParams: r.anyQuery,
	}
	if r.open {
		op.Security = []map[string][]string{{}}
	}
	if r.method == http.MethodPost && !r.open {
		op.Parameters = append(op.Parameters, idempotencyParameter())
	}
	if reflect.TypeFor[O]() == reflect.TypeFor[download]() {
		op.Responses["200"] = downloadResponse(r)
	}
	if reflect.TypeFor[O]() == reflect.TypeFor[huma.StreamResponse]() {
		if op.Responses["200"] = downloadResponse(r); r.serves == "" {
			op.Responses["200"] = a.streamResponse()
		}
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		if err := checkStrings(in); err != nil {
			return nil, a.report(ctx, err)
		}
		out, err := handle(ctx, callOf(ctx), in)
		if err != nil {
			return nil, a.report(ctx, err)
		}
		return out, nil
	})
	if r.again != "" {
		responses := a.huma.OpenAPI().Paths[r.path].Post.Responses
		responses["200"] = &huma.Response{Description: r.again, Content: responses["201"].Content}
	}
}

// problemResponse describes every answer that is no success.
func (a *api) problemResponse() *huma.Response {
	schema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[problem](), true, "Problem")
	return &huma.Response{
		Description: "a problem (RFC 9457)",
		Content:     map[string]*huma.MediaType{problemType: {Schema: schema}},
	}
}

func idempotencyParameter() *huma.Param {
	return &huma.Param{
		Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: huma.TypeString},
		Description: "makes a repetition of this request answer what the first one did; kept 24 h",
	}
}

// bodyMode says whether an operation reads a body.
type bodyMode int

const (
	bodyNone bodyMode = iota
	bodyOptional
	bodyRequired
)

// bodyOf finds the body in the input of an operation: one behind a pointer may
// be left out.
func bodyOf[I any]() bodyMode {
	t := reflect.TypeFor[I]()
	if f, ok := t.FieldByName("Body"); ok && f.Type.Kind() == reflect.Pointer {
		return bodyOptional
	} else if ok {
		return bodyRequired
	}
	if _, ok := t.FieldByName("RawBody"); ok {
		return bodyRequired
	}
	return bodyNone
}

// accepts tells whether a body of this media type may come in.
func (r route) accepts(media string) bool {
	if r.media != nil {
		return slices.Contains(r.media, media)
	}
	return media == "application/json" || r.method == http.MethodPatch && media == "application/merge-patch+json"
}

// page is the answer to a list.
type page[T any] struct {
	Body list[T]
}

type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next" doc:"cursor of the next page, or empty"`
}

// Paging is what every list takes.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" doc:"next of the page before; empty is the first page"`
}

// answer is the answer with one thing.
type answer[T any] struct {
	Body T
}

// created is the answer to a POST that made a thing.
type created[T any] struct {
	Location string `header:"Location"`
	Body     T
}

// nothing is the answer of DELETE.
type nothing struct{}

// mapped turns the records of a page into their shapes. The list is never null.
func mapped[R, T any](records []R, next string, shape func(R) T) *page[T] {
	p := &page[T]{Body: list[T]{Items: make([]T, 0, len(records)), Next: next}}
	for _, r := range records {
		p.Body.Items = append(p.Body.Items, shape(r))
	}
	return p
}
