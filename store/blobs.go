package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"runtime"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Blobs keeps large blobs outside of the database, by their hash.
type Blobs interface {
	// Put keeps data; it is synced when Put returns. Putting what is there
	// makes it young again, so that no sweep takes it.
	Put(ctx context.Context, hash string, data []byte) error
	// Get gives what Put kept; what is not there is CodeNotFound.
	Get(ctx context.Context, hash string) ([]byte, error)
	Delete(ctx context.Context, hash string) error
	Has(ctx context.Context, hash string) (bool, error)
	// List calls fn for each blob, in any order, until it errs.
	List(ctx context.Context, fn func(hash string, mod time.Time) error) error
}

// smallBlob is the compressed size from which a blob goes into Blobs.
const smallBlob = 256 << 10

// Blob is staged bytes: hashed, compressed, and in Blobs if they are large.
type Blob struct {
	Hash   string // hex SHA-256 of the bytes
	Size   int64  // of the bytes
	packed []byte // nil: in Blobs
}

// Stage prepares bytes for AddBlob, outside of any transaction. Large ones are
// kept and synced when it returns.
func (db *DB) Stage(ctx context.Context, data []byte) (Blob, error) {
	sum := sha256.Sum256(data)
	b := Blob{Hash: hex.EncodeToString(sum[:]), Size: int64(len(data)), packed: db.pack.pack(data)}
	if len(b.packed) < smallBlob || db.opt.Blobs == nil {
		return b, nil
	}
	if err := db.opt.Blobs.Put(ctx, b.Hash, b.packed); err != nil {
		return Blob{}, db.wrap("keep a large blob", err)
	}
	b.packed = nil
	return b, nil
}

// AddBlob makes a staged blob part of the store; one that is there already
// stays as it is. CodeUnavailable means that a sweep took a large one since it
// was staged: it has to be staged again.
func (tx *Tx) AddBlob(ctx context.Context, b Blob) error {
	if err := tx.shareBlobs(ctx); err != nil {
		return err
	}
	if b.packed == nil {
		if err := tx.holdBlob(ctx, b.Hash); err != nil {
			return err
		}
		switch there, err := tx.db.opt.Blobs.Has(ctx, b.Hash); {
		case err != nil:
			return tx.db.wrap("look for a large blob", err)
		case !there:
			return Errorf(CodeUnavailable, "a large blob was swept meanwhile")
		}
	}
	return tx.queue(ctx, `INSERT INTO blobs (hash, size, packed) VALUES ($1, $2, $3)
		ON CONFLICT (hash) DO NOTHING`, b.Hash, b.Size, b.packed)
}

// blobsWord is held by transactions that add blobs, all of them at once, or by
// one that removes some: what is there already must not go while something new
// is about to name it.
const blobsWord = "blobs"

func (tx *Tx) shareBlobs(ctx context.Context) error {
	if tx.sharesBlobs || tx.db.dialect.ShareWord == "" {
		return nil
	}
	tx.sharesBlobs = true
	return tx.queue(ctx, tx.db.dialect.ShareWord, blobsWord)
}

// namesBlob are the columns that name bytes. The files of a mail that went out
// are those of its activity.
const namesBlob = `SELECT 1 FROM activities WHERE raw_hash = $1 AND raw_hash <> '' UNION ALL SELECT 1 FROM attachments WHERE hash = $1
	UNION ALL SELECT 1 FROM quarantine WHERE raw_hash = $1 UNION ALL SELECT 1 FROM uploads WHERE hash = $1 LIMIT 1`

// DeleteBlobs removes those of some bytes that nothing names any more, and gives
// their hashes; files are those that lie outside of the database, for DropFile.
// It should be all that its transaction does.
func (tx *Tx) DeleteBlobs(ctx context.Context, hashes []string) (gone, files []string, err error) {
	if err := tx.Serialise(ctx, blobsWord); err != nil {
		return nil, nil, err
	}
	for _, hash := range hashes {
		named, err := tx.count(ctx, namesBlob, hash)
		if err != nil {
			return nil, nil, err
		}
		if named > 0 {
			continue
		}
		large, err := tx.count(ctx, `SELECT COUNT(*) FROM blobs WHERE hash = $1 AND packed IS NULL`, hash)
		if err != nil {
			return nil, nil, err
		}
		n, err := tx.exec(ctx, `DELETE FROM blobs WHERE hash = $1`, hash)
		if err != nil {
			return nil, nil, err
		}
		if n > 0 {
			gone = append(gone, hash)
		}
		if large > 0 {
			files = append(files, hash)
		}
	}
	return gone, files, nil
}

// DropFile removes bytes that lie outside of the database, unless something has
// come to name them. Those that are not there are no error.
func (db *DB) DropFile(ctx context.Context, hash string) error {
	if db.opt.Blobs == nil {
		return nil
	}
	_, err := db.sweepOne(ctx, hash)
	return db.wrap("remove a large blob", err)
}

// Scrub sees to it that what was deleted before it was called can't be read from
// the files of the database any more, as far as that is in its hands: SQLite's
// are free of it when Scrub returns. PostgreSQL's own vacuum does so later.
func (db *DB) Scrub(ctx context.Context) error {
	return db.refused("scrub the database", db.driver.Scrub(ctx))
}

// holdBlob lets nobody else sweep or add a large blob until the transaction ends.
func (tx *Tx) holdBlob(ctx context.Context, hash string) error {
	return tx.Serialise(ctx, "blob "+hash)
}

// Blob gives the bytes of a hash. Bytes that don't have this hash any more are
// CodeInternal.
func (db *DB) Blob(ctx context.Context, hash string) ([]byte, error) {
	var size int64
	var packed []byte
	err := db.View(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := first(ctx, tx, "blob", func(r Rows, _ *struct{}) error { return r.Scan(&size, &packed) },
			`SELECT size, packed FROM blobs WHERE hash = $1`, hash)
		return err
	})
	if err != nil {
		return nil, err
	}
	if packed == nil {
		if db.opt.Blobs == nil {
			return nil, Errorf(CodeInternal, "a blob lies outside of the database, and there is no such place")
		}
		if packed, err = db.opt.Blobs.Get(ctx, hash); err != nil {
			return nil, db.wrap("read a large blob", err)
		}
	}
	data, err := db.pack.unpack(packed, size)
	if err != nil {
		return nil, &Error{Code: CodeInternal, Message: "a blob is damaged", Err: err}
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != hash {
		return nil, Errorf(CodeInternal, "a blob is damaged: it has another hash")
	}
	return data, nil
}

// SweepBlobs removes what lies in Blobs without a row in the database and is
// older than olderThan, which must be far longer than an intake takes: a
// blob is kept before the transaction that names it is committed.
func (db *DB) SweepBlobs(ctx context.Context, olderThan time.Duration) (int, error) {
	if db.opt.Blobs == nil {
		return 0, nil
	}
	limit := db.opt.Now().Add(-olderThan)
	var old []string
	swept := 0
	err := db.opt.Blobs.List(ctx, func(hash string, mod time.Time) error {
		if mod.After(limit) {
			return nil
		}
		if old = append(old, hash); len(old) < 500 {
			return nil
		}
		n, err := db.sweep(ctx, old)
		swept, old = swept+n, old[:0]
		return err
	})
	if err != nil {
		return swept, db.wrap("sweep blobs", err)
	}
	n, err := db.sweep(ctx, old)
	return swept + n, err
}

// sweep removes those of the hashes that have no row.
func (db *DB) sweep(ctx context.Context, hashes []string) (int, error) {
	known := map[string]bool{}
	err := db.View(ctx, func(ctx context.Context, tx *Tx) error {
		return tx.query(ctx, func(r Rows) error {
			var hash string
			err := r.Scan(&hash)
			known[hash] = true
			return err
		}, `SELECT hash FROM blobs WHERE `+db.dialect.In("hash", "$1"), db.dialect.Strings(hashes))
	})
	if err != nil {
		return 0, err
	}
	n := 0
	for _, hash := range hashes {
		if known[hash] {
			continue
		}
		swept, err := db.sweepOne(ctx, hash)
		if err != nil {
			return n, db.wrap("sweep blobs", err)
		}
		if swept {
			n++
		}
	}
	return n, nil
}

// sweepOne removes a blob under its lock, if it still has no row: the mail that
// it belongs to may have come again at this very moment.
func (db *DB) sweepOne(ctx context.Context, hash string) (swept bool, err error) {
	err = db.Update(ctx, func(ctx context.Context, tx *Tx) error {
		if err := tx.holdBlob(ctx, hash); err != nil {
			return err
		}
		rows, err := tx.count(ctx, `SELECT count(*) FROM blobs WHERE hash = $1`, hash)
		if err != nil || rows > 0 {
			return err
		}
		swept = true
		return db.opt.Blobs.Delete(ctx, hash)
	})
	return swept, err
}

// packer compresses and decompresses; it may be used by several goroutines.
type packer struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newPacker() (*packer, error) {
	n := min(4, runtime.GOMAXPROCS(0))
	// A small window: the memory of an encoder is kept for ever, and mails are
	// small.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(n), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(512<<10))
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(n), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	return &packer{enc, dec}, nil
}

func (p *packer) pack(data []byte) []byte {
	return p.enc.EncodeAll(data, make([]byte, 0, len(data)/2+64))
}

func (p *packer) unpack(packed []byte, size int64) ([]byte, error) {
	return p.dec.DecodeAll(packed, make([]byte, 0, size))
}

func (p *packer) close() {
	p.dec.Close()
}
