package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ticketgate/store"
)

// EventOptions say how the streams of GET /events are kept. The zero value
// works.
type EventOptions struct {
	Done      <-chan struct{} // closed: all streams end at once, and none begins; nil: never
	Heartbeat time.Duration   // a comment at least this often; 0: 15 s
	Check     time.Duration   // the caller's token is looked at again; 0: 3 s
	Poll      time.Duration   // other nodes' events are looked for; 0: 1 s
	Patience  time.Duration   // how long a client may take to take what it is sent; 0: 10 s
	PerAgent  int             // streams of one agent at a time; 0: 20
}

func (o *EventOptions) complete() {
	if o.Heartbeat == 0 {
		o.Heartbeat = 15 * time.Second
	}
	if o.Check == 0 {
		o.Check = 3 * time.Second
	}
	if o.Poll == 0 {
		o.Poll = time.Second
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	if o.PerAgent == 0 {
		o.PerAgent = 20
	}
}

const eventStream = "text/event-stream"

func (a *api) registerEvents() {
	add(a, route{id: "stream-events", method: http.MethodGet, path: "/events", tag: tagDesk, find: a.findWatched, tokenInQuery: true,
		syntax: a.readPosition, summary: "Server-Sent Events of what the caller may see"}, a.streamEvents)
}

type eventsQuery struct {
	LastEventID string `header:"Last-Event-ID" doc:"id of the last event that was received: the stream goes on behind it"`
	LastEvent   string `query:"last_event_id" doc:"the same, for clients that can't set the header, which goes before"`
	Ticket      int64  `query:"ticket" minimum:"1" doc:"events of this ticket alone"`
	Token       string `query:"token" doc:"of POST /events/token, for clients that can't set a header; no other token counts here"`
}

// eventShape is the data of one event.
type eventShape struct {
	ID         string          `json:"id" doc:"of the event, to go on behind it"`
	Kind       string          `json:"kind" enum:"ticket.created,activity.created,activity.changed,delivery.changed,agent.notice,reset" doc:"reset: events are missing, read anew what you show"`
	At         time.Time       `json:"at"`
	Ticket     *int64          `json:"ticket"`
	ActivityID *string         `json:"activity_id"`
	Data       store.EventData `json:"data"`
}

// resetKind is the event of a client that went on behind what is no longer
// kept.
const resetKind = "reset"

// streamResponse describes the stream.
func (a *api) streamResponse() *huma.Response {
	schema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[eventShape](), true, "EventShape")
	return &huma.Response{
		Description: "a stream without end; each event has its id, its kind as event, and this object as data",
		Content:     map[string]*huma.MediaType{eventStream: {Schema: schema}},
	}
}

// findWatched is the 404 of a ticket that the stream is narrowed to. What is no
// number at all is refused later.
func (a *api) findWatched(ctx context.Context, c *call) error {
	number, err := strconv.ParseInt(c.query("ticket"), 10, 64)
	if err != nil || number <= 0 {
		return nil
	}
	return a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := seen(ctx, tx, c, number)
		return err
	})
}

// readPosition is the 400 of what is no id, and notes where the stream begins. A browser repeats the query at each reconnection, and the
// header says better how far it got.
func (a *api) readPosition(ctx context.Context, c *call, hc huma.Context) error {
	text := hc.Header("Last-Event-ID")
	if text == "" {
		text = hc.Query("last_event_id")
	}
	return a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if text == "" {
			c.after, err = tx.LastEvent(ctx)
			return err
		}
		at, ok := store.ParseEventPosition(text)
		if !ok {
			return newProblem(http.StatusBadRequest, "the last event's id is none")
		}
		known, missed, err := tx.MissedEvents(ctx, at)
		if err != nil {
			return err
		}
		if c.after, c.missed = at, missed; !known { // of another store, or one that was restored since
			c.missed = true
			c.after, err = tx.LastEvent(ctx)
		}
		return err
	})
}

func (a *api) streamEvents(_ context.Context, c *call, in *eventsQuery) (*huma.StreamResponse, error) {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		if err := a.stream(hc, c, in.Ticket); err != nil {
			a.fail(hc, err)
		}
	}}, nil
}

// stream answers with events until the client leaves, loses its right to them,
// or the server ends. An error means that nothing was written.
func (a *api) stream(hc huma.Context, c *call, ticket int64) error {
	select {
	case <-a.Events.Done:
		return unavailable("the server is about to end")
	default:
	}
	w, ok := hc.BodyWriter().(http.ResponseWriter)
	if !ok {
		return errors.New("the server's writer can't stream")
	}
	l, err := a.feed.join(c.agent.ID)
	if err != nil {
		return err
	}
	defer a.feed.leave(l)
	hc.SetHeader("Content-Type", eventStream)
	hc.SetHeader("X-Accel-Buffering", "no") // a proxy that gathers answers would hold events back
	hc.SetStatus(http.StatusOK)
	if hc.Method() == http.MethodHead {
		return nil
	}
	if r, ok := hc.Context().Value(requestKey{}).(*request); ok {
		r.stream = true
	}
	s := &stream{
		api: a, call: c, agentID: c.agent.ID, ticket: ticket, listener: l,
		w: w, control: http.NewResponseController(w), at: c.after,
	}
	s.run(hc.Context(), c.missed)
	return nil
}

// stream is one open answer. It belongs to the request's goroutine.
type stream struct {
	api      *api
	call     *call
	agentID  string
	ticket   int64 // 0: all
	listener *listener
	w        http.ResponseWriter
	control  *http.ResponseController
	at       store.EventPosition // of the last event that was looked at
	told     store.EventPosition // as the client knows it
}

// errEnded says that the caller may have no more events.
var errEnded = errors.New("the stream's caller lost his right to it")

// run writes until something ends it. The connection may be used for another
// request then, which has time limits of its own.
func (s *stream) run(ctx context.Context, missed bool) {
	defer func() { _ = s.control.SetWriteDeadline(time.Time{}) }()
	heartbeat := time.NewTicker(s.api.Events.Heartbeat)
	defer heartbeat.Stop()
	check := time.NewTicker(s.api.Events.Check)
	defer check.Stop()
	err := s.begin(missed)
	for err == nil {
		if err = s.forward(ctx); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-s.api.Events.Done:
			return
		case <-s.listener.bell:
		case <-heartbeat.C:
			err = s.beat()
		case <-check.C:
			err = s.check(ctx)
		}
	}
}

// begin lets the client know that the stream runs, and from where.
func (s *stream) begin(missed bool) error {
	s.told = s.at
	head := fmt.Appendf(nil, ": events\nid: %s\n\n", s.at)
	if missed {
		head = s.append(head, eventShape{ID: s.at.String(), Kind: resetKind, At: s.api.Now().UTC()})
	}
	return s.write(head)
}

// beat shows that the connection lives. It moves the client's position past
// the events that he may not see: he would else miss some of the journal's
// beginning after a long quiet time.
func (s *stream) beat() error {
	if s.told == s.at {
		return s.write([]byte(":\n\n"))
	}
	s.told = s.at
	return s.write(fmt.Appendf(nil, ":\nid: %s\n\n", s.at))
}

// check ends the stream of a caller whose token, session or account is no longer
// good.
// While the store doesn't answer there is nothing to be sent either.
func (s *stream) check(ctx context.Context) error {
	err := s.api.stillValid(ctx, s.call)
	if p, ok := errors.AsType[*problem](err); ok && p.Status == http.StatusUnauthorized {
		return errEnded
	}
	return nil
}

// forward writes what has come.
func (s *stream) forward(ctx context.Context) error {
	waiting, behind := s.listener.take()
	if behind {
		return s.catchUp(ctx)
	}
	for _, n := range waiting {
		if err := s.send(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// catchUp reads the journal to its end. Where the store doesn't answer, it is
// tried again with the next check.
func (s *stream) catchUp(ctx context.Context) error {
	for {
		n, err := readNews(ctx, s.api.DB, s.at)
		if err != nil {
			s.listener.stayBehind()
			return ctx.Err()
		}
		if err := s.send(ctx, n); err != nil || len(n.events) < feedRead {
			return err
		}
		select {
		case <-s.api.Events.Done:
			return errEnded
		default:
		}
	}
}

// send writes those of the events that the caller may see and has not had.
func (s *stream) send(ctx context.Context, n news) error {
	if len(n.events) == 0 {
		return nil
	}
	if agent := n.desk.Agent(s.agentID); agent == nil || !agent.Active {
		return errEnded
	}
	if slices.ContainsFunc(n.events, s.endsAccess) {
		if err := s.check(ctx); err != nil {
			return err
		}
	}
	var text []byte
	for _, e := range n.events {
		if !s.at.Before(e.Position) {
			continue
		}
		s.at = e.Position
		if shape, ok := s.shape(n.desk, e); ok {
			text, s.told = s.append(text, shape), e.Position
		}
	}
	if len(text) == 0 {
		return nil
	}
	return s.write(text)
}

// endsAccess tells that a token or session of the caller's agent ended, which may
// be the one of this stream.
func (s *stream) endsAccess(e store.Event) bool {
	return e.Kind == store.EventAccessEnded && e.AgentID == s.agentID
}

// shape gives an event as the caller sees it; false where he doesn't. A notice
// is for one agent whatever he sees, and names no ticket that he doesn't.
func (s *stream) shape(desk *store.Desk, e store.Event) (eventShape, bool) {
	sees := e.ChannelID != "" && desk.Sees(s.agentID, e.ChannelID)
	mine := e.AgentID == s.agentID
	if e.Kind == store.EventAccessEnded || e.Kind == store.EventRuleMatched || s.ticket != 0 && s.ticket != e.Ticket || e.AgentID != "" && !mine || !sees && !mine {
		return eventShape{}, false
	}
	shape := eventShape{ID: e.Position.String(), Kind: string(e.Kind), At: e.At, Data: e.Data}
	if sees {
		shape.Ticket, shape.ActivityID = numberOrNull(e.Ticket), orNull(e.ActivityID)
	}
	return shape, true
}

// append adds an event in the form of a stream. JSON has no line breaks.
func (s *stream) append(text []byte, e eventShape) []byte {
	data, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("an event as JSON: %v", err)) // a fault of the program, which every test finds
	}
	if e.Kind != resetKind { // a reset has not brought the client anywhere
		text = fmt.Appendf(text, "id: %s\n", e.ID)
	}
	return fmt.Appendf(text, "event: %s\ndata: %s\n\n", e.Kind, data)
}

// write sends text to the client, who has only so much time to take it.
func (s *stream) write(text []byte) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(s.api.Events.Patience)) // not every writer has one
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return s.control.Flush()
}
