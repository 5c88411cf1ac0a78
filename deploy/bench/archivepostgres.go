package main

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// postgresArchive fills a database by COPY. Indexes are made anew at the end,
// which takes a third of the time.
type postgresArchive struct {
	ctx     context.Context //nolint:containedctx // of the one run that it lives for
	conn    *pgx.Conn
	indexes []string // their definitions
}

func openPostgres(ctx context.Context, url string) (*postgresArchive, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	p := &postgresArchive{ctx: ctx, conn: conn}
	if err := p.dropIndexes(); err != nil {
		return nil, err
	}
	return p, p.exec(`SET synchronous_commit = off`, `SET default_toast_compression = 'lz4'`, `SET maintenance_work_mem = '1GB'`)
}

func (p *postgresArchive) exec(statements ...string) error {
	for _, text := range statements {
		if _, err := p.conn.Exec(p.ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// dropIndexes notes and drops the indexes that no constraint needs.
func (p *postgresArchive) dropIndexes() error {
	rows, err := p.conn.Query(p.ctx, `SELECT indexname, indexdef FROM pg_indexes i WHERE schemaname = 'public'
		AND tablename IN ('tickets', 'activities', 'search')
		AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname)`)
	if err != nil {
		return err
	}
	type index struct{ Name, Text string }
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[index])
	if err != nil {
		return err
	}
	for _, i := range all {
		p.indexes = append(p.indexes, i.Text)
		if err := p.exec(`DROP INDEX ` + pgx.Identifier{i.Name}.Sanitize()); err != nil {
			return err
		}
	}
	return nil
}

func (p *postgresArchive) add(t *table, rows [][]any) error {
	_, err := p.conn.CopyFrom(p.ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromRows(rows))
	return err
}

// words makes the tsvector as the daemon does.
func (p *postgresArchive) words(text string) any {
	at := map[string][]pgtype.TSVectorPosition{}
	for n, word := range strings.Fields(text) {
		at[word] = append(at[word], pgtype.TSVectorPosition{Position: uint16(n + 1)}) //nolint:gosec // a mail of ours is short
	}
	v := pgtype.TSVector{Valid: true}
	for word, positions := range at {
		v.Lexemes = append(v.Lexemes, pgtype.TSVectorLexeme{Word: word, Positions: positions})
	}
	slices.SortFunc(v.Lexemes, func(a, b pgtype.TSVectorLexeme) int { return strings.Compare(a.Word, b.Word) })
	return v
}

func (p *postgresArchive) finish() error {
	if err := p.exec(p.indexes...); err != nil {
		return err
	}
	return p.exec(`SELECT setval('ticket_numbers', (SELECT MAX(number) FROM tickets))`, `VACUUM ANALYZE`, `CHECKPOINT`)
}

func (p *postgresArchive) close() error { return p.conn.Close(p.ctx) }
