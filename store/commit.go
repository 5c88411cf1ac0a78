package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// maxBatch is how many callers' work one transaction holds at most. More gain
// little, and make a poisoned batch dearer.
const maxBatch = 64

// maxAlone is how often work is tried in a transaction of its own while it
// loses races for locks; between the tries it waits a random time up to
// maxPause, so that two who met don't meet again.
const (
	maxAlone = 12
	maxPause = 50 * time.Millisecond
)

// job is one caller of Update.
type job struct {
	ctx   context.Context
	fn    func(ctx context.Context, tx *Tx) error
	after []func() // of the run that was committed
	done  chan error
}

// Update runs fn in a transaction and returns nil when it is committed and
// synced. Transactions of callers that come at the same time are grouped; one
// that fails is undone alone, for the others are then done anew without it.
//
// fn may run several times, so it must have no effect but on tx, and must not
// use tx afterwards. A panic in fn is an internal error of this call. Once a
// statement of fn has failed, fn's work is undone even if it returns nil.
//
// A caller whose ctx ends before fn's turn gets CodeUnavailable, and fn never
// runs. From then on Update waits for the outcome, and fn's context does not
// end with ctx. After CodeUnavailable from a lost connection it is unknown
// whether the commit took place; all other errors mean that it did not.
func (db *DB) Update(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	j := &job{ctx: context.WithoutCancel(ctx), fn: fn, done: make(chan error, 1)}
	if err := ctx.Err(); err != nil {
		return &Error{Code: CodeUnavailable, Message: "gave up waiting for a transaction", Err: err}
	}
	select {
	case db.jobs <- j:
	case <-ctx.Done():
		return &Error{Code: CodeUnavailable, Message: "gave up waiting for a transaction", Err: ctx.Err()}
	case <-db.quit:
		return Errorf(CodeUnavailable, "the store is closed")
	}
	if err := <-j.done; err != nil {
		return err
	}
	for _, f := range j.after {
		f()
	}
	return nil
}

// commitLoop is one committer: it takes all that waits, commits it, and takes
// what came meanwhile. It never lingers for more.
func (db *DB) commitLoop() {
	for {
		select {
		case <-db.quit:
			return
		case j := <-db.jobs:
			db.commitAll(db.gather(j))
		}
	}
}

// gather adds those who wait by now.
func (db *DB) gather(first *job) []*job {
	batch := []*job{first}
	for len(batch) < maxBatch {
		select {
		case j := <-db.jobs:
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// commitAll gives each job of a batch its outcome.
func (db *DB) commitAll(batch []*job) {
	if len(batch) > 1 {
		batch = db.commitBold(batch)
	}
	if len(batch) > 1 {
		batch = db.commitGroup(batch)
	}
	for i, j := range batch {
		began, err := db.commitAlone(j)
		j.done <- err
		if !began {
			// The database is out. Trying for each of the others would make
			// them wait for one time limit after the other.
			refuse(batch[i+1:], err)
			return
		}
	}
}

// refuse gives all jobs the same error.
func refuse(jobs []*job, err error) {
	for _, j := range jobs {
		j.done <- err
	}
}

// commitBold runs a batch in one transaction, and returns what must be run
// anew. A savepoint for each job makes the database keep every page, or a part of
// the transaction, once more, and is hardly ever needed: where one job has to
// be undone, all are, and run again with savepoints.
func (db *DB) commitBold(batch []*job) (undone []*job) {
	session, err := db.driver.Begin(context.Background(), true)
	if err != nil {
		refuse(batch, db.wrap("begin", err))
		return nil
	}
	defer session.End()
	state := new(shared)
	good := make([]*job, 0, len(batch))
	bad := map[*job]error{} // that did nothing, and want nothing
	for _, j := range batch {
		tx := &Tx{db: db, session: session, shared: state, write: true}
		switch err := tx.run(j); {
		case err == nil:
			j.after = tx.after
			good = append(good, j)
		case tx.wrote || tx.broken != nil:
			return batch
		default:
			bad[j] = err
		}
	}
	if len(good) > 0 && !db.finish(session, state, good) {
		return batch
	}
	for j, err := range bad {
		j.done <- err
	}
	return nil
}

// finish commits a batch and gives those who were well their outcome; false
// where nothing was committed and nobody has one.
func (db *DB) finish(session Session, state *shared, good []*job) bool {
	err := session.Release(context.Background())
	if err == nil {
		err = state.runLate(session)
	}
	if err != nil {
		return false
	}
	err = db.commit(session, len(good))
	if err != nil && !db.driver.Classify(err).Lost {
		return false
	}
	// Where the connection was lost in the commit, doing it again might do it
	// twice: the caller has to know.
	for _, j := range good {
		j.done <- db.wrap("commit", err)
	}
	return true
}

// commitGroup runs a batch in one transaction with savepoints, and returns
// those jobs that must be tried alone. All others have their outcome.
func (db *DB) commitGroup(batch []*job) (alone []*job) {
	session, err := db.driver.Begin(context.Background(), true)
	if err != nil {
		refuse(batch, db.wrap("begin", err))
		return nil
	}
	defer session.End()
	state := new(shared)
	var good []*job
	for i, j := range batch {
		again, err := db.runSaved(session, state, j)
		switch {
		case again:
			alone = append(alone, j)
		case err == nil:
			good = append(good, j)
		case state.lost:
			// The transaction is gone, and with it those who were well.
			return append(append(alone, good...), batch[i:]...)
		default:
			j.done <- err
		}
	}
	if len(good) > 0 && !db.finish(session, state, good) {
		return append(alone, good...)
	}
	return alone
}

// runSaved runs one job of a batch in a savepoint. again tells that it was
// undone and may succeed alone; state.lost that the transaction is beyond use.
func (db *DB) runSaved(session Session, state *shared, j *job) (again bool, err error) {
	if err := session.Savepoint(context.Background()); err != nil {
		state.lost = true
		return false, err
	}
	tx := &Tx{db: db, session: session, shared: state, write: true}
	mark := len(state.late)
	err = tx.run(j)
	if err == nil {
		j.after = tx.after
		return false, nil
	}
	state.late = state.late[:mark]
	if tx.deskDirty {
		state.desk = nil
	}
	if tx.fault.Lost || session.RollbackTo(context.Background()) != nil {
		state.lost = true
		return false, err
	}
	return tx.fault.Again, err
}

// commitAlone runs a job in a transaction of its own; began is false where
// there was none to be had. From the second try on, one job of this process at
// a time is at it, and the last try waits for locks as long as it takes.
func (db *DB) commitAlone(j *job) (began bool, err error) {
	for try := range maxAlone {
		switch try {
		case 0:
		case 1:
			db.alone.Lock()
			defer db.alone.Unlock()
			fallthrough
		default:
			db.pause()
		}
		session, err := db.driver.Begin(context.Background(), try < maxAlone-1)
		if err != nil {
			return false, db.wrap("begin", err)
		}
		again, err := db.runAlone(session, j, try == 0)
		if session.End(); !again {
			return true, err
		}
	}
	return true, Errorf(CodeUnavailable, "lost every race for the same rows")
}

// pause waits for a random time, or until the store is closed.
func (db *DB) pause() {
	timer := time.NewTimer(rand.N(maxPause))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-db.quit:
	}
}

// runAlone runs a job and commits. again tells that nothing was committed, and
// that the same may succeed. Work whose connection is lost is tried once more
// only: it may be what kills it.
func (db *DB) runAlone(session Session, j *job, first bool) (again bool, err error) {
	tx := &Tx{db: db, session: session, shared: new(shared), write: true}
	if err := tx.run(j); err != nil {
		return tx.fault.Again || tx.fault.Lost && first, err
	}
	j.after = tx.after
	if err = tx.runLate(session); err == nil {
		err = db.commit(session, 1)
	}
	if err != nil {
		return db.driver.Classify(err).Again, db.wrap("commit", err)
	}
	return false, nil
}

func (db *DB) commit(session Session, size int) error {
	begun := time.Now()
	err := session.Commit()
	if err == nil && db.opt.Observe != nil {
		db.opt.Observe(size, time.Since(begun))
	}
	return err
}

// run runs the job's function, and what it queued.
func (tx *Tx) run(j *job) error {
	if err := guarded(j.ctx, tx, j.fn); err != nil {
		return err
	}
	if tx.broken == nil {
		_ = tx.note(tx.session.Flush(j.ctx)) // kept in broken
	}
	return tx.broken
}

// guarded calls fn and makes an error of its panic.
func guarded(ctx context.Context, tx *Tx, fn func(ctx context.Context, tx *Tx) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			tx.db.opt.Log.Error("a transaction panicked", "panic", r, "stack", string(debug.Stack()))
			err = &Error{Code: CodeInternal, Message: "a transaction panicked", Err: fmt.Errorf("panic: %v", r)}
		}
	}()
	return fn(ctx, tx)
}
