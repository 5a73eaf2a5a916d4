// The half of holdall-edit that links libtorch. People call `holdall-edit run`, `inspect` and `tokenize`,
// which become this program; `serve` is started by the service with one end of a socket pair.
#include <CLI/CLI.hpp>

#include <cstdlib>
#include <iostream>
#include <string>

#include "runtime/error.h"
#include "runtime/worker/edit_command.h"
#include "runtime/worker/inspect_command.h"
#include "runtime/worker/serve_loop.h"
#include "runtime/worker/tokenize_command.h"

namespace {

using holdall::runtime::worker::EditArguments;

constexpr int kUsage = 2;

// HOLDALL_<OPTION> for every option, as everywhere.
void name_environment(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    if (option->get_lnames().empty() || option->get_lnames()[0] == "help" || option->get_lnames()[0] == "version")
      continue;
    std::string name = "HOLDALL_" + option->get_lnames()[0];
    for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    option->envname(name);
  }
}

void declare_run(CLI::App& command, EditArguments& arguments) {
  command.add_option("--model", arguments.model, "folder of the checkpoint")->type_name("DIR")->required();
  command
      .add_option("--image", arguments.images,
                  "picture to edit; several are Picture 1, Picture 2, …; none: text to image")
      ->type_name("FILE");
  command
      .add_option("--mask", arguments.mask,
                  "of the first picture, of its size: white, or what is transparent, is repainted")
      ->type_name("FILE");
  command
      .add_option(
          "--strength", arguments.strength,
          "how far to go from the picture, above 0 and up to 1; with a mask, or from text to image (default: 0.6)")
      ->type_name("X");
  command
      .add_option("--anchor", arguments.anchor,
                  "outpaint: where the picture lies on the canvas of --size: center, top, bottom-left, …")
      ->type_name("WHERE");
  command.add_option("--prompt", arguments.prompts, "what to do; each makes pictures of its own")
      ->type_name("TEXT")
      ->allow_extra_args(false)
      ->required();
  command
      .add_option("--negative-prompt", arguments.negative_prompt,
                  "what to avoid; turns guidance on where the scale is over 1")
      ->type_name("TEXT");
  command.add_option("--seed", arguments.seed, "of the noise: the same seed gives the same picture")->type_name("N");
  command
      .add_option("-n,--n", arguments.n,
                  "pictures of each prompt, of the seeds N, N + 1, …; more than one are named out-1.png, out-2.png, …")
      ->type_name("N");
  command.add_option("--steps", arguments.steps, "denoising steps (default: the model's, else 40)")->type_name("N");
  command
      .add_option("--true-cfg-scale", arguments.true_cfg_scale, "strength of guidance (default: the model's, else 4)")
      ->type_name("X");
  command
      .add_option("--guidance-scale", arguments.guidance_scale,
                  "of guidance-distilled models; refused for all others, which is every release")
      ->type_name("X");
  command.add_option("--size", arguments.size, "of the result: auto or WIDTHxHEIGHT")->type_name("SIZE");
  command.add_option("--vae-area", arguments.vae_area, "pixels of a reference (default: the model's, else 1048576)")
      ->type_name("N");
  command
      .add_option("--condition-area", arguments.condition_area,
                  "pixels of a reference for the vision encoder (default: the model's, else 147456)")
      ->type_name("N");
  command
      .add_option("--lora", arguments.loras,
                  "change the transformer by a LoRA file, as much as SCALE says (default: 1); several add up")
      ->type_name("FILE[:SCALE]")
      ->allow_extra_args(false);
  command.add_option("--device", arguments.device, "auto, cpu, cuda or cuda:N")->type_name("D");
  command
      .add_option("--dtype", arguments.dtype, "float32, bfloat16 or float16 (default: float32 on a CPU, else bfloat16)")
      ->type_name("T");
  command.add_option("--dump", arguments.dump, "also write the intermediate tensors")->type_name("FILE.safetensors");
  command.add_option("-o,--output", arguments.output, "the picture: .png, .jpg or .webp")
      ->type_name("FILE")
      ->required();
  command.add_flag("-q,--quiet", arguments.quiet, "no progress");
  command.add_flag("--json", arguments.json, "print the result as JSON");
}

}  // namespace

int main(int argc, char** argv) {
  using namespace holdall::runtime;
  CLI::App app{"edit pictures by instruction", "holdall-edit"};
  app.set_version_flag("--version", HOLDALL_VERSION);
  app.require_subcommand(1);

  EditArguments edit;
  CLI::App* run = app.add_subcommand("run", "pictures, no server");
  declare_run(*run, edit);

  std::filesystem::path tokenizer_model;
  bool json = false;
  CLI::App* tokenize =
      app.add_subcommand("tokenize", "prompts on stdin, one JSON string a line; ids on stdout, one JSON array a line");
  tokenize->add_option("--model", tokenizer_model, "folder of the checkpoint")->type_name("DIR")->required();
  tokenize->add_flag("--json", json, "the only form there is; accepted for scripts");

  worker::InspectArguments inspection;
  CLI::App* inspect = app.add_subcommand("inspect", "what a model is, and what it needs, from its headers alone");
  inspect->add_option("model", inspection.model, "folder of the checkpoint")->type_name("MODEL")->required();
  inspect->add_option("--size", inspection.sizes, "of a result; several (default: half, whole and twice the model's)")
      ->type_name("WIDTHxHEIGHT")
      ->allow_extra_args(false);
  inspect->add_option("--device", inspection.device, "auto, cpu, cuda or cuda:N")->type_name("D");
  inspect->add_option("--dtype", inspection.dtype, "as for run")->type_name("T");
  inspect->add_flag("--json", inspection.json, "print the result as JSON");

  worker::ServeOptions service{-1, {}, "auto", "", ""};
  CLI::App* serve = app.add_subcommand("serve", "edit what the service sends (started by holdall-edit serve)");
  serve->add_option("--fd", service.fd, "this end of the socket pair")->type_name("N")->required();
  serve->add_option("--model", service.model, "folder of the checkpoint")->type_name("DIR")->required();
  serve->add_option("--device", service.device, "auto, cpu, cuda or cuda:N")->type_name("D");
  serve->add_option("--dtype", service.dtype, "float32, bfloat16 or float16")->type_name("T");
  serve->add_option("--golden", service.golden, "golden edits instead of the model's")->type_name("JSON");

  for (CLI::App* command : {run, inspect, tokenize}) name_environment(*command);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : kUsage;
  }
  try {
    if (*serve) return worker::serve_loop(service);
    if (*run) worker::run_edit(edit);
    if (*inspect) worker::run_inspect(inspection);
    if (*tokenize) worker::run_tokenize(tokenizer_model, std::cin, std::cout);
    return EXIT_SUCCESS;
  } catch (const Error& error) {
    std::cerr << "holdall-edit: " << error.what() << '\n';
    return exit_code(error.kind());
  } catch (const std::exception& error) {
    std::cerr << "holdall-edit: " << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
