// What a distillation would compare and push, from logits over the same words.

// Shares of the words at a temperature: softmax(logits / temperature).
function softened(logits, temperature) {
  const most = Math.max(...logits);
  const weights = Array.from(logits, (logit) => Math.exp((logit - most) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

// KL(p || q) in nats: what it costs to expect q where p holds.
function divergence(p, q) {
  return p.reduce((sum, share, i) => sum + (share > 0 ? share * Math.log(share / q[i]) : 0), 0);
}

// The loss of a student, its parts, and the push on every logit of the student: the negative gradient of the loss.
// loss = (1 - mix) hard + mix T² soft, hard = -log q[label] at T = 1, soft = KL(p || q) or KL(q || p) at T.
// Source: Hinton et al. 2015, arXiv:1503.02531, section 2.
function lesson(teacher, student, label, { temperature, mix, direction }) {
  const p = softened(teacher, temperature), q = softened(student, temperature), sharp = softened(student, 1);
  const forward = divergence(p, q), reverse = divergence(q, p), hard = -Math.log(sharp[label]);
  const soft = direction === "teacher" ? forward : reverse;
  const push = q.map((share, i) => {
    const fromLabel = (i === label ? 1 : 0) - sharp[i];
    const fromTeacher = direction === "teacher" ? p[i] - share : share * (reverse - Math.log(share / p[i]));
    return (1 - mix) * fromLabel + mix * temperature * fromTeacher;
  });
  return { p, q, forward, reverse, hard, loss: (1 - mix) * hard + mix * temperature ** 2 * soft, push };
}

// The rows of a table of words: the teacher's likeliest, the label, the student's own favourites; the teacher's order.
function shownWords(teacher, student, label, ofTeacher, ofStudent) {
  const ranked = (logits) => Array.from(logits, (_, i) => i).sort((a, b) => logits[b] - logits[a]);
  const rows = new Set([...ranked(teacher).slice(0, ofTeacher), label]);
  for (const i of ranked(student).filter((one) => !rows.has(one)).slice(0, ofStudent)) rows.add(i);
  return [...rows].sort((a, b) => teacher[b] - teacher[a]);
}

// How much of everything that a speaker might say lies in these words, at a temperature of 1.
function covered(logits, logTotal) {
  return logits.reduce((sum, logit) => sum + Math.exp(logit - logTotal), 0);
}
