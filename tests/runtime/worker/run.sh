# holdall-edit-worker run, inspect and tokenize, from the outside: results, exit codes, and nothing left behind.
worker="$HOLDALL_BIN/holdall-edit-worker"
model="$HOLDALL_SOURCE/tests/data/random-model"
photo="$HOLDALL_SOURCE/examples/photo/grace_hopper.jpg"
mkdir out

fail() { echo "FAILED: $*" >&2; exit 1; }
# expect CODE TEXT COMMAND…: the command exits with CODE, says TEXT on stderr and leaves out/ empty.
expect() {
  local code=$1 text=$2 status=0
  shift 2
  "$@" >stdout 2>stderr || status=$?
  [ $status -eq "$code" ] || fail "exit $status, needed $code: $* ($(cat stderr))"
  grep -qF -- "$text" stderr || fail "stderr lacks '$text': $(cat stderr)"
  [ ! -s stdout ] || fail "stdout is not empty: $(cat stdout)"
  [ -z "$(ls -A out)" ] || fail "left behind: $(ls -A out)"
}
run() { "$worker" run --model "$model" --image "$photo" --prompt "make it blue" --device cpu "$@"; }

expect 2 "--prompt" "$worker" run --model "$model" --image "$photo" -o out/a.png
expect 2 "" "$worker"
expect 7 "m.png" run --mask m.png -o out/a.png
expect 2 "they need to be the same" run --mask "$model/golden/input.png" -o out/a.png
expect 2 "needs a mask" run --strength 0.5 -o out/a.png
expect 2 "0 pictures" run -n 0 -o out/a.png
expect 2 "guidance-distilled" run --guidance-scale 3 -o out/a.png
expect 2 "unknown anchor 'middle'" run --anchor middle --size 96x96 -o out/a.png
expect 2 "size of the canvas" run --anchor top -o out/a.png
expect 2 "give one prompt" run --prompt two --dump out/a.safetensors -o out/a.png
expect 2 "one picture only" run -n 2 --dump out/a.safetensors -o out/a.png
expect 2 "a.bmp" run -o out/a.bmp
expect 2 "12by12" run --size 12by12 -o out/a.png
expect 2 "0 steps" run --steps 0 -o out/a.png
expect 2 "needed FILE or FILE:SCALE" run --lora style:x -o out/a.png
expect 7 "absent.safetensors" run --lora absent.safetensors:0.5 -o out/a.png
expect 3 "unknown key" run --lora "$model/transformer/diffusion_pytorch_model.safetensors" -o out/a.png
expect 2 "unknown device" "$worker" run --model "$model" --image "$photo" --prompt x --device abacus -o out/a.png
expect 2 "stderr" run --image stderr -o out/a.png
expect 2 "at least one" "$worker" run --model "$model" --prompt x --device cpu -o out/a.png
expect 7 "absent.jpg" run --image absent.jpg -o out/a.png
expect 7 "absent" "$worker" run --model absent --image "$photo" --prompt x --device cpu -o out/a.png
expect 7 "no/folder" run -o no/folder/a.png
expect 7 "no/folder" run --dump no/folder/a.safetensors -o out/a.png
mkdir broken && echo '{"_class_name": "FluxPipeline"}' >broken/model_index.json
expect 3 "FluxPipeline" "$worker" run --model broken --image "$photo" --prompt x --device cpu -o out/a.png

# An interruption in the middle of the steps.
"$worker" run --model "$model" --image "$photo" --prompt x --device cpu --steps 1000 -o out/a.png \
  --dump out/a.safetensors >/dev/null 2>stderr &
pid=$!
until grep -q "step 2 of" stderr; do kill -0 $pid || fail "ended early: $(cat stderr)"; sleep 0.02; done
kill -INT $pid
status=0; wait $pid || status=$?
[ $status -eq 130 ] || fail "an interrupted edit exits with $status, needed 130"
[ -z "$(ls -A out)" ] || fail "an interrupted edit left $(ls -A out)"

# What works: the path on stdout, progress on stderr unless quiet, the same bytes for the same seed, options from the environment.
[ "$(run -o out/a.png 2>stderr)" = out/a.png ] || fail "stdout is not the path"
grep -q "step 4 of 4" stderr || fail "no progress: $(cat stderr)"
head -c 8 out/a.png | cmp -s - <(printf '\x89PNG\r\n\x1a\n') || fail "no PNG"
HOLDALL_SEED=0 HOLDALL_QUIET=true run -o out/b.png 2>stderr >/dev/null
[ ! -s stderr ] || fail "quiet is not quiet: $(cat stderr)"
cmp out/a.png out/b.png || fail "the same seed gave two pictures"
HOLDALL_SEED=1 run -q -o out/b.png >/dev/null
cmp -s out/a.png out/b.png && fail "another seed gave the same picture"
run -q --size 64x48 --steps 2 --seed 5 --json -o out/c.jpg --dump out/c.safetensors >stdout
grep -q '"height":48' stdout && grep -q '"seed":5' stdout && grep -q '"width":64' stdout || fail "json: $(cat stdout)"
head -c 3 out/c.jpg | cmp -s - <(printf '\xff\xd8\xff') || fail "no JPEG"
for name in prompt_embeds image_latents noise timesteps sigmas latents.0 latents.1 '"latents"' image; do
  head -c 4000 out/c.safetensors | grep -qaF -- "$name" || fail "the dump lacks $name"
done
[ "$(ls out | tr '\n' ' ')" = "a.png b.png c.jpg c.safetensors " ] || fail "files: $(ls out)"

# Two pictures of two prompts: numbered, with their seeds, each the same as alone.
run -q -n 2 --prompt "make it red" --seed 0 --steps 1 --json -o out/e.png >stdout
[ "$(grep -o '"path":"[^"]*"' stdout | tr '\n' ' ')" = '"path":"out/e-1.png" "path":"out/e-2.png" "path":"out/e-3.png" "path":"out/e-4.png" ' ] ||
  fail "paths: $(cat stdout)"
[ "$(grep -o '"seed":[0-9]*' stdout | tr '\n' ' ')" = '"seed":0 "seed":1 "seed":0 "seed":1 ' ] || fail "seeds: $(cat stdout)"
"$worker" run --model "$model" --image "$photo" --prompt "make it red" --device cpu -q --seed 1 --steps 1 -o out/f.png >/dev/null
cmp out/e-4.png out/f.png || fail "a picture among others differs from itself alone"

# Where a picture comes from: its seed, and digests of the prompt and the model.
prompt_digest=$(printf 'make it red' | sha256sum | cut -d' ' -f1)
for text in "holdall:prompt_sha256" "$prompt_digest" "holdall:seed" "holdall:model_outline_sha256" QwenImageEditPlusPipeline; do
  grep -qaF -- "$text" out/f.png || fail "the PNG lacks $text"
done
! grep -qaF "make it red" out/f.png || fail "the PNG holds the prompt"

# A LoRA file, of zeros: the picture is the same, and says what was merged.
python3 - style.safetensors <<'END'
import json, struct, sys
header = json.dumps({"transformer.img_in.lora_A.weight": {"dtype": "F32", "shape": [1, 16], "data_offsets": [0, 64]},
                     "transformer.img_in.lora_B.weight": {"dtype": "F32", "shape": [48, 1], "data_offsets": [64, 256]}}).encode()
open(sys.argv[1], "wb").write(struct.pack("<Q", len(header)) + header + bytes(256))
END
run -q --steps 1 --lora style.safetensors:0.5 --lora style.safetensors -o out/e-1.png >/dev/null
for text in holdall:lora '"scale":0.5' "$(sha256sum style.safetensors | cut -d' ' -f1)"; do
  grep -qaF -- "$text" out/e-1.png || fail "the PNG lacks $text"
done

# A mask and a larger canvas.
run -q --size 320x320 --anchor bottom-left --steps 1 -o out/f.png >/dev/null 2>stderr && fail "a photo fits a smaller canvas"
grep -q "a canvas that is larger" stderr || fail "outpaint: $(cat stderr)"
"$worker" run --model "$model" --image "$model/golden/input.png" --prompt x --device cpu -q --size 128x96 --anchor left --steps 1 \
  --json -o out/f.png >stdout
grep -q '"height":96' stdout && grep -q '"width":128' stdout || fail "outpaint: $(cat stdout)"

# On a terminal a bar.
COLUMNS=80 script -qec "$worker run --model $model --image $photo --prompt x --device cpu --steps 2 -o out/f.png" /dev/null >stdout
grep -qaF "[##############################] step 2 of 2" stdout || fail "no bar: $(cat stdout)"
rm out/e-?.png out/f.png

# A result that cannot be printed is no success; the picture is there all the same.
for form in "" --json; do
  rm -f out/d.png
  status=0; run -q $form -o out/d.png >/dev/full 2>stderr || status=$?
  [ $status -eq 6 ] && grep -q "standard output" stderr && [ -s out/d.png ] || fail "$form >/dev/full: $status $(cat stderr)"
done

# tokenize: JSON strings in, JSON arrays out, a line each.
printf '%s\n' '"make it blue"' '""' '"\u628a\n"' | "$worker" tokenize --model "$model" >ids
[ "$(wc -l <ids)" -eq 3 ] || fail "tokenize: $(cat ids)"
[ "$(sed -n 2p ids)" = "[]" ] || fail "an empty prompt has tokens: $(cat ids)"
sed -n 1p ids | grep -E '^\[[0-9]+(,[0-9]+)*\]$' || fail "tokenize: $(cat ids)"
status=0; echo 'no json' | "$worker" tokenize --model "$model" 2>stderr || status=$?
[ $status -eq 2 ] && grep -q "line 1" stderr || fail "tokenize took what is no JSON: $status $(cat stderr)"

# inspect: what it is and needs, from the headers: what only loading would find is found, what lies in the data is not read.
"$worker" inspect "$model" --device cpu >stdout
for text in "holdall-demo: QwenImageEditPlusPipeline, as Qwen-Image-Edit-2509" QwenImageTransformer2DModel "96x96 " "384x384 " \
  "fits; "; do
  grep -qF -- "$text" stdout || fail "inspect lacks '$text': $(cat stdout)"
done
"$worker" inspect "$model" --device cpu --size 130x96 --size auto --json >stdout
python3 - "$model" <stdout <<'END'
import json, pathlib, struct, sys
found = json.loads(open("stdout").read())
for part in found["components"]:
    count = 0
    for file in pathlib.Path(sys.argv[1], part["name"]).glob("*.safetensors"):
        data = file.read_bytes()
        header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
        for tensor in header.values():
            if "shape" in tensor:
                size = 1
                for extent in tensor["shape"]:
                    size *= extent
                count += size
    assert part["parameters"] == count == sum(part["dtypes"].values()), part
[size] = found["sizes"]
assert (size["width"], size["height"]) == (128, 96), size
assert size["fits"] and size["memory_bytes"]["float32"] > found["weights_bytes"]["float32"] > 0, found
END
rm out/*
cp -r "$model" copy && weights=copy/transformer/diffusion_pytorch_model.safetensors
expect 7 "absent" "$worker" inspect absent
expect 3 "FluxPipeline" "$worker" inspect broken
expect 2 "12by12" "$worker" inspect "$model" --size 12by12
expect 2 "unknown device" "$worker" inspect "$model" --device abacus
sed -i 's/BF16/F16 /' "$weights" && expect 3 "unknown dtype" "$worker" inspect copy
cp "$model/transformer/diffusion_pytorch_model.safetensors" "$weights" && truncate -s -2 "$weights"
expect 3 "outside the file's" "$worker" inspect copy
echo '{"weight_map": {"proj_out.weight": "second.safetensors"}}' >copy/transformer/diffusion_pytorch_model.safetensors.index.json
expect 7 "second.safetensors" "$worker" inspect copy
rm copy/transformer/*.safetensors* && expect 7 "cannot find weights" "$worker" inspect copy

"$worker" --version | grep -E '^[0-9]+\.[0-9]+' || fail "no version"
"$worker" run --help | grep HOLDALL_TRUE_CFG_SCALE || fail "help names no environment variables"
