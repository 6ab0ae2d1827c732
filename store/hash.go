package store

import (
	"crypto/sha256"
	"encoding/binary"
)

// hasher gathers fields so that no two lists of fields look alike.
type hasher struct{ buf []byte }

func (h *hasher) text(ss ...string) {
	for _, s := range ss {
		h.buf = binary.AppendUvarint(h.buf, uint64(len(s)))
		h.buf = append(h.buf, s...)
	}
}

func (h *hasher) number(n int64) { h.buf = binary.AppendVarint(h.buf, n) }

// sum returns the hash and starts over.
func (h *hasher) sum() Hash {
	sum := sha256.Sum256(h.buf)
	h.buf = h.buf[:0]
	return Hash(sum[:16])
}

// filter is a set of hashes that may hold more than was added (Bloom 1970):
// of half a million hashes that were not, it holds one in a hundred.
type filter [1 << 17]uint64

// bits gives the two places of a hash, which is as good as random already.
func (f *filter) bits(h Hash) [2]uint64 {
	return [2]uint64{binary.LittleEndian.Uint64(h[:8]) % (64 * uint64(len(f))), binary.LittleEndian.Uint64(h[8:]) % (64 * uint64(len(f)))}
}

func (f *filter) add(h Hash) {
	for _, b := range f.bits(h) {
		f[b/64] |= 1 << (b % 64)
	}
}

func (f *filter) may(h Hash) bool {
	for _, b := range f.bits(h) {
		if f[b/64]&(1<<(b%64)) == 0 {
			return false
		}
	}
	return true
}

// bitmap is a set of row ids.
type bitmap struct{ words []uint64 }

// set adds an id and says whether it was new.
func (b *bitmap) set(id int64) bool {
	w, m := int(id>>6), uint64(1)<<(id&63)
	if w >= len(b.words) {
		b.words = append(b.words, make([]uint64, w-len(b.words)+1)...)
	}
	fresh := b.words[w]&m == 0
	b.words[w] |= m
	return fresh
}

func (b *bitmap) has(id int64) bool {
	w := int(id >> 6)
	return w < len(b.words) && b.words[w]&(1<<(id&63)) != 0
}
