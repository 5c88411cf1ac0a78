package api

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ticketgate/store"
)

const (
	// feedRead is how many events one query reads.
	feedRead = 200
	// feedWaiting is how many events wait for one stream at most. A slower one
	// reads them from the journal again, when it has time.
	feedWaiting = 1000
	// feedPause is the time from one reading to the next at least, so that a
	// burst of mail is read in a few large pieces.
	feedPause = 20 * time.Millisecond
)

// news is a piece of the journal, in its order, with the desk by which it is
// decided who may see it: read after the events, so it is not older.
type news struct {
	events []store.Event
	desk   *store.Desk
}

// feed follows the journal for all the streams of this process: one reader,
// which is woken by what this process commits, and looks for what other nodes
// committed. While nobody listens nothing runs. It is safe for concurrent use.
type feed struct {
	db   *store.DB
	log  *slog.Logger
	poll time.Duration
	most int              // streams of one agent
	open prometheus.Gauge // nil: not counted

	mu        sync.Mutex // guards what follows, and is held while news are given out
	listeners map[*listener]struct{}
	follower  *follower // nil exactly while nobody listens
}

// follower is one run of the goroutine that reads.
type follower struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

// listener is what the feed knows of one stream. What it is given has no gap
// from the moment at which take said that it was behind.
type listener struct {
	agentID string
	bell    chan struct{} // holds a token while there is something to take

	mu      sync.Mutex // guards what follows
	waiting []news
	count   int  // events in waiting
	behind  bool // some were not given: read them from the journal
}

// join adds a stream of an agent, who may have only so many. It begins behind.
func (f *feed) join(agentID string) (*listener, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	same := 0
	for l := range f.listeners {
		if l.agentID == agentID {
			same++
		}
	}
	if same >= f.most {
		return nil, tooMany("as many streams as you may have are open")
	}
	l := &listener{agentID: agentID, bell: make(chan struct{}, 1), behind: true}
	f.listeners[l] = struct{}{}
	if f.follower == nil {
		ctx, cancel := context.WithCancel(context.Background())
		f.follower = &follower{cancel: cancel, ended: make(chan struct{})}
		go f.follow(ctx, f.follower)
	}
	if f.open != nil {
		f.open.Inc()
	}
	return l, nil
}

func tooMany(detail string) *problem {
	p := newProblem(http.StatusTooManyRequests, detail)
	p.header = http.Header{"Retry-After": {"30"}}
	return p
}

// leave removes a stream. The last one waits until the follower has ended.
func (f *feed) leave(l *listener) {
	f.mu.Lock()
	delete(f.listeners, l)
	var last *follower
	if len(f.listeners) == 0 {
		last, f.follower = f.follower, nil
		last.cancel() // under the lock: from here on it gives nothing out
	}
	f.mu.Unlock()
	if f.open != nil {
		f.open.Dec()
	}
	if last != nil {
		<-last.ended
	}
}

// follow reads until ctx ends.
func (f *feed) follow(ctx context.Context, self *follower) {
	defer close(self.ended)
	var at store.EventPosition
	begun, failing := false, false
	for {
		added := f.db.EventsAdded() // before reading, so that no commit is missed
		err := ctx.Err()
		if !begun && err == nil {
			if at, err = f.begin(ctx); err == nil {
				begun = true
			}
		}
		if err == nil {
			at, err = f.read(ctx, at)
		}
		if err != nil && !failing && ctx.Err() == nil {
			f.log.WarnContext(ctx, "the journal of events can't be read; streams wait", "err", err)
		}
		failing = err != nil
		if !f.rest(ctx, added, failing) {
			return
		}
	}
}

// begin finds where the journal ends. Whoever joined before reads up to there
// himself.
func (f *feed) begin(ctx context.Context) (store.EventPosition, error) {
	at, err := view(ctx, f.db, func(ctx context.Context, tx *store.Tx) (store.EventPosition, error) {
		return tx.LastEvent(ctx)
	})
	if err == nil {
		f.each(ctx, (*listener).fallBehind)
	}
	return at, err
}

// read gives out what came after a position, and says how far it got.
func (f *feed) read(ctx context.Context, at store.EventPosition) (store.EventPosition, error) {
	for {
		n, err := readNews(ctx, f.db, at)
		if err != nil || len(n.events) == 0 {
			return at, err
		}
		f.each(ctx, func(l *listener) { l.give(n) })
		at = n.events[len(n.events)-1].Position
		if len(n.events) < feedRead {
			return at, nil
		}
	}
}

// readNews reads one piece of the journal.
func readNews(ctx context.Context, db *store.DB, after store.EventPosition) (news, error) {
	return view(ctx, db, func(ctx context.Context, tx *store.Tx) (n news, err error) {
		if n.events, err = tx.Events(ctx, after, feedRead); err != nil || len(n.events) == 0 {
			return n, err
		}
		n.desk, err = tx.Desk(ctx)
		return n, err
	})
}

// each calls do for every listener, unless ctx has ended: then another
// follower may be at work.
func (f *feed) each(ctx context.Context, do func(*listener)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	for l := range f.listeners {
		do(l)
	}
}

// rest waits until it is time to read again; false when ctx ends.
func (f *feed) rest(ctx context.Context, added <-chan struct{}, failing bool) bool {
	pause := time.NewTimer(feedPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return false
	}
	if failing {
		added = nil // what fails is not tried more often for being busy
	}
	poll := time.NewTimer(f.poll)
	defer poll.Stop()
	select {
	case <-added:
	case <-poll.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// give hands on news, or notes that there was no room for them.
func (l *listener) give(n news) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.behind:
	case l.count+len(n.events) > feedWaiting:
		l.waiting, l.count, l.behind = nil, 0, true
	default:
		l.waiting = append(l.waiting, n)
		l.count += len(n.events)
	}
	l.ring()
}

// fallBehind has the stream read from the journal.
func (l *listener) fallBehind() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting, l.count, l.behind = nil, 0, true
	l.ring()
}

// stayBehind is for a stream that could not read the journal; it tries again
// in its own time.
func (l *listener) stayBehind() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.behind = true
}

func (l *listener) ring() {
	select {
	case l.bell <- struct{}{}:
	default: // it has been rung
	}
}

// take gives what waits. Where it says behind, the stream has to read the
// journal to its end before it takes again: what comes from now on waits.
func (l *listener) take() (waiting []news, behind bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting, behind = l.waiting, l.behind
	l.waiting, l.count, l.behind = nil, 0, false
	return waiting, behind
}
