# Source this file in csh or tcsh:  source ENVIRONMENT/bin/activate.csh
# The command `deactivate` takes everything back.

# csh does not say where a sourced file lies: what the last relocation wrote.
set _holdall_prefix = "@PREFIX@"
set _holdall_active = 0
if ( $?_HOLDALL_PREFIX && $?@VARIABLE@ ) then
    if ( "$_HOLDALL_PREFIX" == "$_holdall_prefix" && "$@VARIABLE@" == "$_holdall_prefix" ) set _holdall_active = 1
endif

if ( ! -r "$_holdall_prefix/bin/deactivate.csh" ) then
    echo "activate.csh: this environment was moved: run its bin/conda-unpack first"
else if ( ! $_holdall_active ) then
    # Another environment that was activated by a file like this one.
    if ( $?_HOLDALL_PREFIX ) then
        if ( -r "$_HOLDALL_PREFIX/bin/deactivate.csh" ) source "$_HOLDALL_PREFIX/bin/deactivate.csh"
    endif

    set _HOLDALL_PREFIX = "$_holdall_prefix"
    alias deactivate 'source "$_HOLDALL_PREFIX/bin/deactivate.csh"'
    if ( $?@VARIABLE@ ) then
        set _HOLDALL_OLD_VARIABLE = "$@VARIABLE@"
    endif
    setenv @VARIABLE@ "$_HOLDALL_PREFIX"
    setenv PATH "${_HOLDALL_PREFIX}/bin:${PATH}"
    if ( $?PYTHONHOME ) then
        set _HOLDALL_OLD_PYTHONHOME = "$PYTHONHOME"
        unsetenv PYTHONHOME
    endif
    if ( $?prompt && ! $?VIRTUAL_ENV_DISABLE_PROMPT ) then
        set _HOLDALL_OLD_PROMPT = "$prompt:q"
        set prompt = "($_HOLDALL_PREFIX:t:q) $prompt:q"
    endif
    rehash

    if ( -d "$_HOLDALL_PREFIX/etc/conda/activate.d" ) then
        set _holdall_nonomatch = $?nonomatch
        set nonomatch
        foreach _holdall_hook ( "$_HOLDALL_PREFIX"/etc/conda/activate.d/*.csh )
            if ( -r "$_holdall_hook" ) source "$_holdall_hook"
        end
        if ( ! $_holdall_nonomatch ) unset nonomatch
        unset _holdall_nonomatch _holdall_hook
    endif
endif
unset _holdall_prefix _holdall_active
