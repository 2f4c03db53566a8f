// Verify checks Tallystick's proofs with the Go project's own transparency log code and nothing of ours.
//
//	verify record VKEY PROOF LEAF      LEAF's bytes are under the signed head in PROOF (a .tlog-proof)
//	verify tree   VKEY PROOF OLD       the signed head in PROOF extends the signed head in OLD
//	verify layout LEAVES STORED        STORED is what tlog keeps for the leaves (one a line, in base64)
package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type head struct {
	origin string
	size   int64
	root   tlog.Hash
}

type proof struct {
	number int64 // the index of a record, or the size of the old tree
	hashes []tlog.Hash
	note   string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Println("verified")
}

func run(args []string) error {
	switch {
	case len(args) == 4 && args[0] == "record":
		return checkRecord(args[1], read(args[2]), read(args[3]))
	case len(args) == 4 && args[0] == "tree":
		return checkTree(args[1], read(args[2]), read(args[3]))
	case len(args) == 3 && args[0] == "layout":
		return checkLayout(read(args[1]), read(args[2]))
	}
	return errors.New("usage: verify record|tree|layout ...")
}

func checkRecord(vkey string, file, leaf []byte) error {
	p, err := parseProof(string(file), "c2sp.org/tlog-proof@v1", "index ")
	if err != nil {
		return err
	}
	h, err := openHead(vkey, p.note)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(tlog.RecordProof(p.hashes), h.size, h.root, p.number, tlog.RecordHash(leaf))
}

func checkTree(vkey string, file, oldNote []byte) error {
	p, err := parseProof(string(file), "tallystick/consistency-proof@v1", "old ")
	if err != nil {
		return err
	}
	h, err := openHead(vkey, p.note)
	if err != nil {
		return err
	}
	old, err := openHead(vkey, string(oldNote))
	if err != nil {
		return err
	}
	if old.origin != h.origin || old.size != p.number {
		return errors.New("the proof does not start from the old head")
	}
	return tlog.CheckTree(tlog.TreeProof(p.hashes), h.size, h.root, old.size, old.root)
}

func checkLayout(leaves, stored []byte) error {
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, 0, len(indexes))
		for _, index := range indexes {
			found = append(found, hashes[index])
		}
		return found, nil
	})
	for n, line := range strings.Split(strings.TrimSuffix(string(leaves), "\n"), "\n") {
		leaf, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return err
		}
		added, err := tlog.StoredHashes(int64(n), leaf, reader)
		if err != nil {
			return err
		}
		hashes = append(hashes, added...)
	}
	var want bytes.Buffer
	for _, hash := range hashes {
		want.Write(hash[:])
	}
	if !bytes.Equal(want.Bytes(), stored) {
		return errors.New("the stored hashes differ from tlog's")
	}
	return nil
}

func parseProof(text, magic, field string) (proof, error) {
	before, signed, found := strings.Cut(text, "\n\n")
	lines := strings.Split(before, "\n")
	if !found || len(lines) < 2 || lines[0] != magic || !strings.HasPrefix(lines[1], field) {
		return proof{}, errors.New("not a proof file of this kind")
	}
	number, err := strconv.ParseInt(strings.TrimPrefix(lines[1], field), 10, 64)
	if err != nil {
		return proof{}, err
	}
	p := proof{number: number, note: signed}
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return proof{}, err
		}
		p.hashes = append(p.hashes, hash)
	}
	return p, nil
}

func openHead(vkey, signed string) (head, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return head{}, err
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil {
		return head{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return head{}, errors.New("the note is not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return head{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return head{}, err
	}
	return head{lines[0], size, root}, nil
}

func read(path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot read:", err)
		os.Exit(2)
	}
	return data
}
